// When each task of a flow stood where: what a Gantt chart, the slider and a comparison are made from.
import type { Stage } from "../lib/statuses.ts";

/** As the API sends it, in columns: from ``fromMs`` on the ``task`` stands at ``stages[stage]``; task 0 is the
    flow itself. ``positions[step]`` leads to the event. */
export interface TimelineColumns {
  version: number;
  stages: string[];
  positions: string[];
  task: number[];
  fromMs: number[];
  stage: number[];
  step: number[];
}

const OF_TASKS: Record<string, Stage> = {
  dependencies: "waiting",
  ready: "ready",
  retry: "retry",
  awaiting: "awaiting",
  round: "awaiting",
  running: "running",
  held: "suspended",
  finished: "finished",
  passedOver: "ignored",
  vanished: "vanished",
  notTaken: "nottaken",
  unneeded: "nottaken",
  cancelled: "cancelled",
  givenUp: "givenup",
  paused: "paused",
  ending: "ending",
};

/** A part of what a task went through: stage, from when, until when (null: on). */
export type Part = (stage: Stage, from: number, until: number | null) => void;

export class Timeline {
  readonly columns: TimelineColumns;
  /** Stages of tasks by their number in the columns. */
  readonly stages: Stage[];
  readonly beginMs: number;
  readonly lastMs: number;
  /** Of each task, which rows are its own: ``rows[from[task]]`` to ``rows[from[task + 1] - 1]``. */
  private readonly from: Uint32Array;
  private readonly rows: Uint32Array;

  constructor(columns: TimelineColumns, count: number) {
    this.columns = columns;
    this.stages = columns.stages.map((word) => OF_TASKS[word] ?? "waiting");
    this.beginMs = columns.fromMs[0] ?? 0;
    this.lastMs = columns.fromMs.at(-1) ?? 0;
    this.from = new Uint32Array(count + 2);
    for (const task of columns.task) this.from[task + 1] = (this.from[task + 1] ?? 0) + 1;
    for (let task = 1; task < this.from.length; task += 1) {
      this.from[task] = (this.from[task] ?? 0) + (this.from[task - 1] ?? 0);
    }
    this.rows = new Uint32Array(columns.task.length);
    const next = this.from.slice();
    columns.task.forEach((task, row) => {
      const place = next[task] ?? 0;
      this.rows[place] = row;
      next[task] = place + 1;
    });
  }

  get steps(): number {
    return this.columns.positions.length;
  }

  /** When a step was, in ms. */
  msOf(step: number): number {
    const row = lastUpTo(this.columns.step, step);
    return this.columns.fromMs[row] ?? this.beginMs;
  }

  /** The last step at a position of the log or before it; 0 if there is none. */
  stepAt(position: string): number {
    const { positions } = this.columns;
    let low = 0;
    let high = positions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(position, positions[middle] ?? "")) high = middle;
      else low = middle + 1;
    }
    return Math.max(0, low - 1);
  }

  /** The last step up to a time. */
  stepAtMs(ms: number): number {
    const row = lastUpTo(this.columns.fromMs, ms);
    return this.columns.step[Math.max(0, row)] ?? 0;
  }

  /** Visits what a task went through up to a step (all of it), in order. Nothing is made for it: charts visit
      ten thousand tasks a picture. */
  eachPart(task: number, visit: Part, untilStep = Number.POSITIVE_INFINITY): void {
    const { stage, fromMs, step } = this.columns;
    const end = this.from[task + 1] ?? 0;
    for (let at = this.from[task] ?? 0; at < end; at += 1) {
      const row = this.rows[at] ?? 0;
      if ((step[row] ?? 0) > untilStep) return;
      const next = at + 1 < end ? this.rows[at + 1] : undefined;
      const isLast = next === undefined || (step[next] ?? 0) > untilStep;
      visit(this.stages[stage[row] ?? 0] ?? "waiting", fromMs[row] ?? 0, isLast ? null : (fromMs[next] ?? 0));
    }
  }

  /** The tasks that moved in a step. */
  movedIn(step: number): number[] {
    const last = lastUpTo(this.columns.step, step);
    const found: number[] = [];
    for (let row = last; row >= 0 && this.columns.step[row] === step; row -= 1) {
      const task = this.columns.task[row] ?? 0;
      if (task > 0) found.push(task);
    }
    return found.reverse();
  }
}

/** The last index whose value is at most this; values rise. */
function lastUpTo(values: readonly number[], most: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) > most) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}

/** Whether a position of the log lies before another. */
export function isBefore(one: string, other: string): boolean {
  const [ms = "0", seq = "0"] = one.split("-");
  const [otherMs = "0", otherSeq = "0"] = other.split("-");
  return ms === otherMs ? Number(seq) < Number(otherSeq) : Number(ms) < Number(otherMs);
}
