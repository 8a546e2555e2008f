// The items of a map: how many stand where, and each of them; only what is seen is in the page.
import { useRef } from "preact/hooks";
import { replaceQuery, route, withQuery } from "../lib/route.ts";
import { STAGE_WORDS, type Stage } from "../lib/statuses.ts";
import { duration, now } from "../lib/times.ts";
import { useSeenRows } from "../ui/seen-rows.ts";
import { StatusMark } from "../ui/status-mark.tsx";
import { countsOf, ITEM_STAGES, itemsOf } from "./item-counts.ts";
import type { ShownFlow } from "./shown-flow.ts";

const ROW = 28;

export function MapItems({ live, task }: { live: ShownFlow; task: number }) {
  void live.frame.value;
  const place = useRef<HTMLDivElement>(null);
  const wanted = route.value.query.getAll("items") as Stage[];
  const counts = countsOf(live, task) ?? {};
  const all = itemsOf(live, task);
  const shown = wanted.length === 0 ? all : all.filter((one) => wanted.includes(live.stage(one)));
  const seen = useSeenRows(place, ROW, shown.length);
  const lines = shown.slice(seen.first, seen.last + 1).map((one, index) => ({ one, at: seen.first + index }));
  return (
    <div class="map-items">
      <fieldset class="chips">
        <legend class="hidden">How items stand</legend>
        {ITEM_STAGES.map((stage) => {
          const count = counts[stage] ?? 0;
          const isOn = wanted.includes(stage);
          if (count === 0 && !isOn) return null;
          const changed = isOn ? wanted.filter((one) => one !== stage) : [...wanted, stage];
          return (
            <a
              key={stage}
              class="chip"
              aria-current={isOn ? "true" : undefined}
              href={withQuery({ items: changed })}
            >
              <StatusMark stage={stage} /> {count.toLocaleString()} {STAGE_WORDS[stage]}
            </a>
          );
        })}
      </fieldset>
      {shown.length === 0 && (
        <p class="muted note">{all.length === 0 ? "It has no items (yet)." : "No item stands like that."}</p>
      )}
      <section ref={place} class="task-list item-list" tabIndex={0} aria-label="Items">
        <ul style={{ height: `${shown.length * ROW}px` }}>
          {lines.map(({ one, at }) => (
            <Line key={one} live={live} item={one} top={at * ROW} />
          ))}
        </ul>
      </section>
    </div>
  );
}

function Line({ live, item, top }: { live: ShownFlow; item: number; top: number }) {
  const row = live.rows[item];
  if (row === undefined) return null;
  const until = row.finishedMs ?? row.suspendedMs ?? (row.status === 1 ? now.value : null);
  return (
    <li style={{ top: `${top}px` }}>
      <button type="button" onClick={() => replaceQuery({ task: item })}>
        <span class="number">{live.plan.peek()?.itemIndex?.[item - 1]}</span>
        <StatusMark stage={live.stage(item)} isNamed />
        <bdi class="said">
          {row.message ?? row.error ?? row.note ?? row.ignoreReason ?? STAGE_WORDS[live.stage(item)]}
        </bdi>
        <span class="took">
          {row.startedMs !== null && until !== null ? duration(until - row.startedMs) : ""}
        </span>
      </button>
    </li>
  );
}
