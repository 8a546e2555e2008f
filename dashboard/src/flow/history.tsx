// The events of a flow, in order; each leads to how the flow stood behind it.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask, isAborted } from "../lib/api.ts";
import { replaceQuery, route } from "../lib/route.ts";
import { clock, iso } from "../lib/times.ts";
import { useSeenRows } from "../ui/seen-rows.ts";
import { detailOf, type EventLine, nameOfTasks, tasksOf, wordOfEvent } from "./event-words.ts";
import type { LiveFlow } from "./live-flow.ts";
import { isBefore } from "./timeline.ts";

const ROW = 28;
const PAGE = 300;
const SETTLE_MS = 300;

export function History({ live }: { live: LiveFlow }) {
  const frame = live.frame.value;
  const place = useRef<HTMLDivElement>(null);
  const events = useSignal<EventLine[]>([]);
  const hasMore = useSignal(true);
  const problem = useSignal<string | null>(null);
  const isAsking = useRef(false);
  const seen = useSeenRows(place, ROW, events.value.length);
  const load = async (signal: AbortSignal) => {
    if (isAsking.current) return;
    isAsking.current = true;
    try {
      const after = events.peek().at(-1)?.position;
      const query = `limit=${PAGE}${after === undefined ? "" : `&after=${after}`}`;
      const path = `flows/${encodeURIComponent(live.id)}/events?${query}`;
      const page = await ask<{ events: EventLine[]; next: string | null }>(path, signal);
      events.value = [...events.peek(), ...page.events];
      hasMore.value = page.next !== null;
      problem.value = null;
    } catch (error) {
      if (!isAborted(error)) problem.value = error instanceof Error ? error.message : String(error);
    } finally {
      isAsking.current = false;
    }
  };
  const isNearEnd = seen.last >= events.value.length - 30;
  useEffect(() => {
    if (!isNearEnd) return;
    const ending = new AbortController();
    const timer = setTimeout(() => load(ending.signal), events.peek().length === 0 ? 0 : SETTLE_MS);
    return () => {
      clearTimeout(timer);
      ending.abort();
    };
  }, [live, frame, isNearEnd, events.value.length]);
  const at = route.value.query.get("at");
  const chosen = at === null ? -1 : lastUpTo(events.value, at);
  useEffect(() => {
    const element = place.current;
    if (element === null || chosen < 0) return;
    const top = chosen * ROW;
    if (top < element.scrollTop || top + ROW > element.scrollTop + element.clientHeight) {
      element.scrollTop = top - element.clientHeight / 2;
    }
  }, [chosen]);
  const lines = [];
  for (let index = seen.first; index <= seen.last; index += 1) {
    const line = events.value[index];
    if (line !== undefined) {
      lines.push(
        <Line key={line.position} live={live} line={line} index={index} isChosen={index === chosen} />,
      );
    }
  }
  return (
    <section ref={place} class="task-list history" tabIndex={0} aria-label="Events">
      {problem.value !== null && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <ul style={{ height: `${events.value.length * ROW}px` }}>{lines}</ul>
      {hasMore.value && <p class="muted more">Reading on…</p>}
    </section>
  );
}

interface LineProps {
  live: LiveFlow;
  line: EventLine;
  index: number;
  isChosen: boolean;
}

function Line({ live, line, index, isChosen }: LineProps) {
  const { event, position } = line;
  const ms = event?.at ?? Number(position.split("-")[0]);
  const choose = () => {
    const [task] = event === null ? [] : tasksOf(event);
    replaceQuery({ at: position, ...(task !== undefined && { task }) });
  };
  return (
    <li class={isChosen ? "chosen" : undefined} style={{ top: `${index * ROW}px` }}>
      <button type="button" aria-current={isChosen ? "true" : undefined} onClick={choose}>
        <span class="clock" title={iso(ms)}>
          {clock(ms)}.{String(ms % 1_000).padStart(3, "0")}
        </span>
        {event === null ? (
          <span class="said">{line.error}</span>
        ) : (
          <>
            <bdi class="name">{nameOfTasks(live, event) || "the flow"}</bdi>
            <span class="word">{wordOfEvent(event)}</span>
            <bdi class="said">{detailOf(event)}</bdi>
          </>
        )}
      </button>
    </li>
  );
}

/** The last of the events at a position or before it; -1: none. */
function lastUpTo(events: readonly EventLine[], at: string): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(at, events[middle]?.position ?? "")) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}
