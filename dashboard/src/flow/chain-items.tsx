// Maps that go along each other: above how the items of each stand, then a line for each element, with the item that each
// map made of it.
import { replaceQuery } from "../lib/route.ts";
import { STAGE_WORDS } from "../lib/statuses.ts";
import { duration, now } from "../lib/times.ts";
import { StatusMark } from "../ui/status-mark.tsx";
import { chainsOf } from "./chains.ts";
import { countsOf, ITEM_STAGES } from "./item-counts.ts";
import type { ShownFlow } from "./shown-flow.ts";

/** `task`: the map whose items are looked at. */
export function ChainHead({ live, maps, task }: { live: ShownFlow; maps: readonly number[]; task: number }) {
  return (
    <ul class="chain-head" aria-label="Maps of the chain">
      <li class="key">Item</li>
      {maps.map((map) => {
        const counts = countsOf(live, map) ?? {};
        return (
          <li key={map}>
            <button
              type="button"
              class="link"
              aria-current={map === task ? "true" : undefined}
              onClick={() => replaceQuery({ task: map, items: null })}
            >
              <bdi>{live.name(map)}</bdi>
            </button>
            <span class="counts">
              {ITEM_STAGES.filter((stage) => counts[stage]).map((stage) => (
                <span key={stage}>
                  <StatusMark stage={stage} /> {counts[stage]?.toLocaleString()}
                </span>
              ))}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

/** `items`: those of one element, in the order of their maps. */
export function ChainLine({
  live,
  maps,
  items,
  top,
}: {
  live: ShownFlow;
  maps: readonly number[];
  items: readonly number[];
  top: number;
}) {
  return (
    <li class="chain-line" style={{ top: `${top}px` }}>
      <bdi class="key">{live.wordOf(items[0] ?? 0)}</bdi>
      {maps.map((map) => {
        const item = items.find((one) => live.mapOf(one) === map);
        return item === undefined ? <span key={map} /> : <Cell key={map} live={live} item={item} />;
      })}
    </li>
  );
}

function Cell({ live, item }: { live: ShownFlow; item: number }) {
  const row = live.rows[item];
  if (row === undefined) return <span />;
  const stage = live.stage(item);
  const until = row.finishedMs ?? row.suspendedMs ?? (row.status === 1 ? now.value : null);
  const took = row.startedMs !== null && until !== null ? duration(until - row.startedMs) : "";
  const said = row.message ?? row.error ?? row.note ?? row.ignoreReason;
  return (
    <button type="button" onClick={() => replaceQuery({ task: item })}>
      <span class="hidden">{`${live.name(item)}: ${STAGE_WORDS[stage]} `}</span>
      <StatusMark stage={stage} isNamed />
      <bdi class="said">{said ?? (took || (stage === "waiting" ? "" : STAGE_WORDS[stage]))}</bdi>
    </button>
  );
}

/** All that the element of an item came to, with the ways there. */
export function ChainOfItem({ live, item }: { live: ShownFlow; item: number }) {
  const row = chainsOf(live.plan.peek())?.rowOf(item) ?? [];
  if (row.length === 0) return null;
  return (
    <nav class="chain-of-item" aria-label="Chain">
      {row.map((one, index) => (
        <span key={one}>
          {index > 0 && (
            <span class="muted" aria-hidden="true">
              ›{" "}
            </span>
          )}
          <button
            type="button"
            class="link"
            aria-current={one === item ? "true" : undefined}
            aria-label={`${live.name(one)}: ${STAGE_WORDS[live.stage(one)]}`}
            onClick={() => replaceQuery({ task: one })}
          >
            <StatusMark stage={live.stage(one)} isNamed /> <bdi>{live.name(live.mapOf(one) ?? one)}</bdi>
          </button>
        </span>
      ))}
    </nav>
  );
}
