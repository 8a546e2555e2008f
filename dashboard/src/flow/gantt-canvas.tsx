// When each task waited, ran and ended: one canvas, to be dragged and zoomed; the list says the same in words.
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { bindKeys } from "../lib/keys.ts";
import { replaceQuery } from "../lib/route.ts";
import { STAGE_WORDS } from "../lib/statuses.ts";
import { clock, duration, now } from "../lib/times.ts";
import { took } from "../lib/tracing.ts";
import { usePlaceSize } from "../ui/place-size.ts";
import { paintings } from "../ui/theme.ts";
import { DENSE, paintGantt } from "./gantt-paint.ts";
import { ganttRowsOf } from "./gantt-rows.ts";
import { AXIS, bounded, fitted, type GanttView, gutterOf, msAt, rowAtY, showing } from "./gantt-view.ts";
import { eachLivePart } from "./live-parts.ts";
import type { PastFlow } from "./past-flow.ts";
import type { ShownFlow } from "./shown-flow.ts";
import type { Timeline } from "./timeline.ts";

interface Props {
  /** All of it, whatever moment is shown. */
  live: ShownFlow;
  past: PastFlow | null;
  timeline: Timeline;
  chosen: number | null;
  onChoose: (task: number | null) => void;
}

const STEP = 1.3;
const LEAST_MS = 5;

export function GanttCanvas({ live, past, timeline, chosen, onChoose }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = usePlaceSize(canvas);
  const view = useSignal<GanttView | null>(null);
  const pointed = useSignal<{ x: number; y: number; words: string } | null>(null);
  const given = useSignal({ past, timeline, chosen });
  const pending = useRef(0);
  const was = useRef<unknown[]>([]);
  given.value = { past, timeline, chosen };
  const endMs = () => endOf(live, given.peek().timeline);
  const fit = (isDense: boolean) => {
    view.value = fitted(timeline.beginMs, endMs(), size.peek(), ganttRowsOf(live).count, { isDense });
  };

  useSignalEffect(() => {
    void live.frame.value;
    void now.value;
    void paintings.value;
    void given.value;
    if (size.value.width === 0) return;
    if (view.value === null) {
      fit(ganttRowsOf(live).count > 300);
      return;
    }
    // Where rows are summed up, all of them are painted: then only what changes the picture is worth it, and
    // the timeline comes anew every few seconds.
    const is = [view.value, size.value, paintings.value, ...Object.values(given.value)];
    const isSame = is.every((one, index) => one === was.current[index]);
    if (pending.current !== 0 || (isSame && view.value.row < DENSE)) return;
    was.current = is;
    pending.current = requestAnimationFrame(() => {
      pending.current = 0;
      const seen = view.peek();
      if (canvas.current === null || seen === null) return;
      const shown = seen.isFollowing ? { ...seen, toMs: Math.max(endMs(), seen.fromMs + 10) } : seen;
      const began = performance.now();
      paintGantt(canvas.current, {
        shown: live,
        timeline: given.peek().timeline,
        view: shown,
        chosen: given.peek().chosen,
        nowMs: endMs(),
        atMs: given.peek().past?.ms ?? null,
        size: size.peek(),
      });
      took("flow-gantt", began);
    });
  });

  useEffect(() => {
    const seen = view.peek();
    if (chosen === null || seen === null) return;
    const rows = ganttRowsOf(live);
    view.value = showing(seen, size.peek(), rows.count, rows.rowOf(chosen));
  }, [chosen, live, size, view]);

  const seenNow = () => {
    const seen = view.peek();
    return seen?.isFollowing ? { ...seen, toMs: Math.max(endMs(), seen.fromMs + 10) } : seen;
  };
  const zoomTime = (by: number, x: number) => {
    const seen = seenNow();
    if (!seen) return;
    const middle = msAt(seen, size.peek(), x);
    const fromMs = middle - (middle - seen.fromMs) / by;
    const toMs = middle + (seen.toMs - middle) / by;
    if (toMs - fromMs >= LEAST_MS) view.value = { ...seen, fromMs, toMs, isFollowing: false };
  };
  const move = (dx: number, dy: number) => {
    const seen = seenNow();
    if (!seen) return;
    const ms = msAt(seen, size.peek(), dx) - msAt(seen, size.peek(), 0);
    const moved =
      dx === 0
        ? { ...seen, isFollowing: view.peek()?.isFollowing ?? false }
        : { ...seen, fromMs: seen.fromMs - ms, toMs: seen.toMs - ms, isFollowing: false };
    view.value = bounded({ ...moved, top: seen.top - dy / seen.row }, size.peek(), ganttRowsOf(live).count);
  };
  useLayoutEffect(
    () =>
      bindKeys([
        { keys: "+", what: "stretch time", run: () => zoomTime(STEP, size.peek().width / 2) },
        { keys: "-", what: "compress time", run: () => zoomTime(1 / STEP, size.peek().width / 2) },
        { keys: "0", what: "all of the time", run: () => fit(ganttRowsOf(live).count > 300) },
      ]),
    [live, timeline],
  );

  const taskAt = (seen: GanttView, x: number, y: number) => {
    const row = rowAtY(seen, ganttRowsOf(live).count, y);
    return row === null ? null : taskIn(live, timeline, row, msAt(seen, size.peek(), x));
  };
  const point = (x: number, y: number) => {
    const seen = seenNow();
    const task = seen ? taskAt(seen, x, y) : null;
    if (!seen || task === null) {
      pointed.value = null;
      return;
    }
    pointed.value = { x, y, words: wordsOf(live, timeline, task, msAt(seen, size.peek(), x), endMs()) };
  };

  const drag = useRef<{ x: number; y: number; moved: boolean } | null>(null);
  return (
    <div class="dag gantt">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Gantt chart of ${live.count} tasks; the list of tasks has each of them`}
        onWheel={(event) => {
          event.preventDefault();
          const place = event.currentTarget.getBoundingClientRect();
          const x = event.clientX - place.left;
          if (event.ctrlKey || event.metaKey) zoomTime(event.deltaY < 0 ? STEP : 1 / STEP, x);
          else move(-event.deltaX, -event.deltaY);
        }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = { x: event.clientX, y: event.clientY, moved: false };
        }}
        onPointerMove={(event) => {
          const from = drag.current;
          const place = event.currentTarget.getBoundingClientRect();
          if (from === null) {
            point(event.clientX - place.left, event.clientY - place.top);
            return;
          }
          const dx = event.clientX - from.x;
          const dy = event.clientY - from.y;
          if (!from.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
          drag.current = { x: event.clientX, y: event.clientY, moved: true };
          pointed.value = null;
          move(dx, dy);
        }}
        onPointerLeave={() => (pointed.value = null)}
        onPointerUp={(event) => {
          const place = event.currentTarget.getBoundingClientRect();
          const x = event.clientX - place.left;
          const y = event.clientY - place.top;
          const seen = seenNow();
          if (drag.current?.moved === false && seen) {
            if (y < AXIS && x >= gutterOf(size.peek().width)) {
              const step = timeline.stepAtMs(msAt(seen, size.peek(), x));
              replaceQuery({ at: timeline.columns.positions[step] ?? null });
            } else onChoose(taskAt(seen, x, y));
          }
          drag.current = null;
        }}
      />
      {pointed.value !== null && view.value !== null && (
        <div
          class="tip"
          style={{
            left: `${Math.max(4, Math.min(pointed.value.x + 12, size.value.width - 250))}px`,
            top: `${Math.min(pointed.value.y + 14, size.value.height - 52)}px`,
          }}
        >
          {pointed.value.words}
        </div>
      )}
      <div class="zoom">
        <button type="button" onClick={() => zoomTime(STEP * STEP, size.value.width / 2)} aria-label="Larger">
          +
        </button>
        <button
          type="button"
          onClick={() => zoomTime(1 / STEP / STEP, size.value.width / 2)}
          aria-label="Smaller"
        >
          −
        </button>
        <button type="button" onClick={() => fit(false)}>
          Rows
        </button>
        <button type="button" onClick={() => fit(true)}>
          All
        </button>
      </div>
    </div>
  );
}

const MARGIN = 0.06; // of what was, where nothing goes on

/** Up to when there is something to show: now, or a little beyond what was where nothing goes on. */
export function endOf(live: ShownFlow, timeline: Timeline): number {
  const flow = live.flow.peek();
  const isStill = flow?.finishedMs != null || (flow?.status === 2 && flow.running === 0);
  if (!isStill) return Math.max(now.peek(), timeline.lastMs);
  const last = Math.max(flow?.finishedMs ?? flow?.suspendedMs ?? 0, timeline.lastMs);
  return last + MARGIN * (last - timeline.beginMs);
}

/** The task of a row that went on at a time: of a chain the last item that had begun. */
function taskIn(live: ShownFlow, timeline: Timeline, row: number, ms: number): number {
  const rows = ganttRowsOf(live);
  const begun = rows.othersOf(row).filter((task) => {
    let has = false;
    eachLivePart(live, timeline, task, (stage, from) => (has ||= stage !== "waiting" && from <= ms));
    return has;
  });
  return begun.at(-1) ?? rows.firstOf(row);
}

/** What a task did at a time, and for how long. */
function wordsOf(live: ShownFlow, timeline: Timeline, task: number, ms: number, endMs: number): string {
  let words = "";
  eachLivePart(live, timeline, task, (stage, from, until) => {
    if (from > ms) return;
    const name = STAGE_WORDS[stage];
    const isOver = stage === "finished" || until !== null;
    words = isOver
      ? `${name} ${clock(from)}${until === null ? "" : `, ${duration(until - from)}`}`
      : `${name} since ${clock(from)}${endMs > from ? `, ${duration(endMs - from)}` : ""}`;
  });
  return `${live.name(task)}: ${words}`;
}
