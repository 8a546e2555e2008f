// What can be done with a flow: each is asked once, with its effect; it says what it did, and how to undo it.
import { useSignal } from "@preact/signals";
import { act } from "../lib/api.ts";
import { session } from "../lib/session.ts";
import { useKeys } from "../ui/use-keys.ts";
import type { LiveFlow } from "./live-flow.ts";
import { OPERATION_FORMS } from "./operation-forms.tsx";
import { type Operation, operationsOf, type Undo } from "./operation-list.ts";

const SHOWN = 3; // buttons; what else there is, is behind "More"

/** The buttons of a flow, only those that fit how it stands; none for who may only read. */
export function Operations({ live, task }: { live: LiveFlow; task: number | null }) {
  const asked = useSignal<Operation | null>(null);
  const said = useSignal<{ words: string; undo: Undo | null } | null>(null);
  const isMoreShown = useSignal(false);
  const all = operationsOf(live, task);
  const first = all[0];
  const open = (one: Operation) => {
    isMoreShown.value = false;
    asked.value = one;
  };
  const isAsking = first !== undefined && session.value?.mayOperate;
  useKeys(isAsking ? [{ keys: "r", what: first.name.toLowerCase(), run: () => open(first) }] : []);
  if (!session.value?.mayOperate) return null;
  const Form = asked.value === null ? null : OPERATION_FORMS[asked.value.kind];
  return (
    <span class="operations">
      <span role="status" class="muted">
        {said.value?.words}
      </span>
      {said.value?.undo && (
        <button type="button" class="link" onClick={() => undo(live, said)}>
          Undo
        </button>
      )}
      {all.slice(0, SHOWN).map((one) => (
        <button key={one.name} type="button" onClick={() => open(one)}>
          {one.name}
        </button>
      ))}
      {all.length > SHOWN && (
        <span class="menu">
          <button
            type="button"
            aria-expanded={isMoreShown.value}
            onClick={() => (isMoreShown.value = !isMoreShown.value)}
          >
            More
          </button>
          {isMoreShown.value && (
            <span class="menu-list">
              {all.slice(SHOWN).map((one) => (
                <button key={one.name} type="button" onClick={() => open(one)}>
                  {one.name}
                </button>
              ))}
            </span>
          )}
        </span>
      )}
      {asked.value !== null && Form !== null && (
        <Form
          live={live}
          operation={asked.value}
          onClose={() => (asked.value = null)}
          onDone={(words, undo) => (said.value = { words, undo })}
        />
      )}
    </span>
  );
}

async function undo(live: LiveFlow, said: { value: { words: string; undo: Undo | null } | null }) {
  const what = said.value?.undo;
  if (!what) return;
  try {
    await act(`flows/${encodeURIComponent(live.id)}/${what.path}`, what.body);
    said.value = { words: "Undone", undo: null };
  } catch (error) {
    said.value = { words: error instanceof Error ? error.message : String(error), undo: null };
  }
}
