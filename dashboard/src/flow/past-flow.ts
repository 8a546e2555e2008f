// A flow as it stood at a step of its timeline. Errors and the like of a task are asked for when it is opened.
import { STAGE_WORDS, type Stage } from "../lib/statuses.ts";
import type { FlowPlan, FlowRow, Layout, TaskRow } from "../lib/types.ts";
import { fixed, ShownFlow } from "./shown-flow.ts";
import type { Timeline } from "./timeline.ts";

const STATUS: Partial<Record<Stage, number>> = {
  running: 1,
  suspended: 2,
  givenup: 2,
  finished: 3,
  ignored: 9,
  nottaken: 9,
  cancelled: 9,
  vanished: 9,
};
const ENDED_AS: Partial<Record<Stage, string>> = {
  ignored: "p",
  nottaken: "n",
  cancelled: "c",
  vanished: "v",
  givenup: "x",
};

export class PastFlow extends ShownFlow {
  readonly id: string;
  readonly frame;
  readonly plan;
  readonly flow;
  readonly layout;
  readonly problem = fixed<string | null>(null);
  readonly rows: (TaskRow | undefined)[] = [];
  override readonly at: string;
  readonly step: number;
  readonly ms: number;

  constructor(plan: FlowPlan, layout: Layout | null, timeline: Timeline, step: number) {
    super();
    this.id = plan.taskFlowId;
    this.step = step;
    this.ms = timeline.msOf(step);
    this.at = timeline.columns.positions[step] ?? "";
    this.plan = fixed<FlowPlan | null>(plan);
    this.layout = fixed(layout);
    this.rows.length = 1;
    for (let task = 1; task <= plan.dependsOn.length; task += 1) {
      this.rows.push(rowOf(timeline, task, step, Boolean(plan.itemOf?.[task - 1])));
    }
    this.flow = fixed<FlowRow | null>(flowOf(this.rows, timeline, step));
    this.frame = fixed(step);
  }

  /** How a task stood, in words. */
  word(task: number): string {
    return STAGE_WORDS[this.stage(task)];
  }
}

/** Undefined: of an item, before it came. */
function rowOf(timeline: Timeline, task: number, step: number, isItem: boolean): TaskRow | undefined {
  let stage = "waiting" as Stage; // set below, where types do not see it
  let fromMs = 0;
  let attempt = 0;
  let startedMs = null as number | null;
  let isThere = false as boolean;
  timeline.eachPart(
    task,
    (now, from) => {
      isThere = true;
      stage = now;
      fromMs = from;
      if (now === "running" || now === "awaiting") {
        attempt += 1;
        startedMs = from;
      }
    },
    step,
  );
  if (isItem && !isThere) return undefined;
  const status = STATUS[stage] ?? 0;
  return {
    task,
    status,
    open: stage === "waiting" ? 1 : 0,
    attempt,
    startedMs,
    finishedMs: status === 3 || status === 9 ? fromMs : null,
    suspendedMs: status === 2 ? fromMs : null,
    retryMs: stage === "retry" ? fromMs : null,
    endedAs: ENDED_AS[stage] ?? "",
    awaiting: stage === "awaiting" ? "" : null,
    ...UNKNOWN,
  };
}

const UNKNOWN = {
  lost: 0,
  failures: 0,
  worker: null,
  error: null,
  message: null,
  fraction: null,
  note: null,
  ignoredBy: null,
  ignoreReason: null,
  priority: 0,
  givesUpMs: null,
  untilMs: null,
  answered: 0,
  againMs: null,
  round: 0,
};

function flowOf(rows: readonly (TaskRow | undefined)[], timeline: Timeline, step: number): FlowRow {
  const counts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  let givenUp = 0;
  let startedMs: number | null = null;
  let wasCancelled = false;
  for (const row of rows) {
    if (row === undefined) continue;
    counts[row.status] = (counts[row.status] ?? 0) + 1;
    if (row.endedAs === "x") givenUp += 1;
    if (row.endedAs === "c") wasCancelled = true;
    if (row.startedMs !== null && (startedMs === null || row.startedMs < startedMs))
      startedMs = row.startedMs;
  }
  const [waiting = 0, running = 0, suspended = 0, finished = 0] = counts;
  const ignored = counts[9] ?? 0;
  const hasEnded = waiting + running + suspended - givenUp === 0;
  const now = timeline.msOf(step);
  let pausedMs = null as number | null;
  let endingMs = null as number | null;
  timeline.eachPart(
    0,
    (stage, from) => {
      pausedMs = stage === "paused" ? from : null;
      endingMs = stage === "ending" ? from : null;
    },
    step,
  );
  return {
    status: statusOf(rows.filter(Boolean).length, waiting, running, suspended, wasCancelled),
    version: 0,
    waiting,
    running,
    suspended,
    givenUp,
    finished,
    ignored,
    startedMs,
    finishedMs: hasEnded ? now : null,
    suspendedMs: suspended > 0 ? now : null,
    pausedMs,
    pausedBy: null,
    cancelledMs: wasCancelled && hasEnded ? now : null,
    endingMs,
    cancelledBy: null,
  };
}

function statusOf(
  count: number,
  waiting: number,
  running: number,
  suspended: number,
  wasCancelled: boolean,
): number {
  if (suspended > 0) return 2;
  if (waiting + running === 0) return wasCancelled ? 9 : 3;
  return waiting === count ? 0 : 1;
}
