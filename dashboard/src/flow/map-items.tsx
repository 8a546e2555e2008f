// The items of a map: how many stand where, and each of them, those that failed first; only what is seen is in the page.
// Where maps go along each other, a line has all that one element came to.
import { useRef } from "preact/hooks";
import { replaceQuery, route, withQuery } from "../lib/route.ts";
import { STAGE_WORDS, type Stage } from "../lib/statuses.ts";
import { duration, now } from "../lib/times.ts";
import { useSeenRows } from "../ui/seen-rows.ts";
import { StatusMark } from "../ui/status-mark.tsx";
import { ChainHead, ChainLine } from "./chain-items.tsx";
import { chainsOf } from "./chains.ts";
import { type Counts, countsOf, failedFirst, ITEM_STAGES, itemsOf, totalOf } from "./item-counts.ts";
import type { ShownFlow } from "./shown-flow.ts";

const ROW = 28;

interface Props {
  live: ShownFlow;
  task: number;
  /** What the map was given; null: it is not told yet. */
  given: Record<string, unknown> | null;
}

export function MapItems({ live, task, given }: Props) {
  void live.frame.value;
  const place = useRef<HTMLDivElement>(null);
  const wanted = route.value.query.getAll("items") as Stage[];
  const counts = countsOf(live, task) ?? {};
  const chains = chainsOf(live.plan.peek());
  const maps = chains?.mapsOf(task) ?? [];
  const all = itemsOf(live, task);
  const some = wanted.length === 0 ? all : all.filter((one) => wanted.includes(live.stage(one)));
  const shown =
    chains === null || maps.length === 0
      ? failedFirst(live, some)
      : failedFirst(live, some, (item) => chains.rowOf(item));
  const seen = useSeenRows(place, ROW, shown.length);
  const lines = shown.slice(seen.first, seen.last + 1).map((one, index) => ({ one, at: seen.first + index }));
  return (
    <div class="map-items">
      {given !== null && <Bounds given={given} counts={counts} />}
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
      {maps.length > 0 && <ChainHead live={live} maps={maps} task={task} />}
      <section ref={place} class="task-list item-list" tabIndex={0} aria-label="Items">
        <ul style={{ height: `${shown.length * ROW}px` }}>
          {lines.map(({ one, at }) =>
            maps.length === 0 ? (
              <Line key={one} live={live} item={one} top={at * ROW} />
            ) : (
              <ChainLine key={one} live={live} maps={maps} items={chains?.rowOf(one) ?? []} top={at * ROW} />
            ),
          )}
        </ul>
      </section>
    </div>
  );
}

/** What the map says of its items: how many may run at once and fail, how they are told apart, what becomes of them. */
function Bounds({ given, counts }: { given: Record<string, unknown>; counts: Counts }) {
  const { limit, tolerate, key, outcomes, workflow } = given;
  const { running = 0, givenup = 0, suspended = 0 } = counts;
  const said: string[] = [];
  if (typeof limit === "number" && typeof workflow === "string") {
    // Which of them have a place is told of each that waits for one.
    said.push(`at most ${limit.toLocaleString()} of its flows go on at once`);
  } else if (typeof limit === "number") {
    // Those that are ready have no place: each takes one as it starts.
    said.push(`${running.toLocaleString()} of at most ${limit.toLocaleString()} items run`);
  }
  if (typeof tolerate === "number") {
    const share = `${Math.floor(tolerate * totalOf(counts)).toLocaleString()} (${100 * tolerate} %)`;
    const most = tolerate > 0 && tolerate < 1 ? share : tolerate.toLocaleString();
    const failed = suspended > 0 ? `${suspended.toLocaleString()} failed, ` : "";
    said.push(`${failed}${givenup.toLocaleString()} tolerated of at most ${most}`);
  }
  if (typeof key === "string") said.push(`told apart by ${key === "" ? "their elements" : key}`);
  if (outcomes === true) said.push("its result says what became of each");
  if (said.length === 0) return null;
  return (
    <p class="muted note bounds">
      <bdi>{said.join(" · ")}</bdi>
    </p>
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
        {live.keyOf(item) !== "" && <bdi class="item-key">{live.keyOf(item)}</bdi>}
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
