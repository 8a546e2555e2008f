// A value as a tree: text, whatever it holds; large parts are folded, and shown when asked for.
import { useSignal } from "@preact/signals";

const OPEN_DEPTH = 2;
const MOST_PARTS = 100;
const MOST_TEXT = 2_000;

export function JsonView({ name, value }: { name?: string; value: unknown }) {
  return (
    <div class="json">
      <Part {...(name !== undefined && { name })} value={value} depth={0} />
    </div>
  );
}

function Part({ name, value, depth }: { name?: string; value: unknown; depth: number }) {
  const isOpen = useSignal<boolean | null>(null);
  const shown = useSignal(MOST_PARTS);
  const head = name === undefined ? null : <bdi class="key">{name}</bdi>;
  if (value === null || typeof value !== "object") {
    return (
      <div class="leaf">
        {head}
        <Leaf value={value} />
      </div>
    );
  }
  const parts = Array.isArray(value)
    ? value.map((one, index): [string, unknown] => [String(index), one])
    : Object.entries(value);
  const [left, right] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (parts.length === 0) {
    return (
      <div class="leaf">
        {head}
        <span>
          {left}
          {right}
        </span>
      </div>
    );
  }
  const open = isOpen.value ?? (depth < OPEN_DEPTH && parts.length <= MOST_PARTS);
  return (
    <div class="branch">
      <button type="button" class="fold" aria-expanded={open} onClick={() => (isOpen.value = !open)}>
        {head}
        <span class="muted">
          {left}
          {open ? "" : `… ${parts.length} …${right}`}
        </span>
      </button>
      {open && (
        <div class="inside">
          {parts.slice(0, shown.value).map(([key, one]) => (
            <Part key={key} name={key} value={one} depth={depth + 1} />
          ))}
          {parts.length > shown.value && (
            <button type="button" class="link" onClick={() => (shown.value *= 10)}>
              {parts.length - shown.value} more
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Leaf({ value }: { value: unknown }) {
  const isWhole = useSignal(false);
  if (typeof value !== "string") return <span class="value">{String(value)}</span>;
  const isLong = value.length > MOST_TEXT && !isWhole.value;
  return (
    <span class="value text">
      <bdi>{isLong ? value.slice(0, MOST_TEXT) : value}</bdi>
      {isLong && (
        <button type="button" class="link" onClick={() => (isWhole.value = true)}>
          … {(value.length - MOST_TEXT).toLocaleString()} more characters
        </button>
      )}
    </span>
  );
}
