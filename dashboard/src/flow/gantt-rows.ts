// The rows of a Gantt chart: a task each, or all that one element of a chain came to, as these follow each other.
import type { FlowPlan } from "../lib/types.ts";
import { chainsOf } from "./chains.ts";
import type { ShownFlow } from "./shown-flow.ts";

const known = new WeakMap<FlowPlan, GanttRows>();
const NONE: readonly number[] = [];

export class GanttRows {
  readonly count: number;
  /** The first task of each row, and of each task its row, from 1 on; null: rows are tasks. */
  private readonly firsts: readonly number[] | null = null;
  private readonly rows: Int32Array | null = null;
  private readonly plan: FlowPlan | null;

  constructor(plan: FlowPlan | null, tasks: number) {
    this.plan = plan;
    this.count = tasks;
    const chains = chainsOf(plan);
    if (chains === null) return;
    const firsts: number[] = [];
    const rows = new Int32Array(tasks + 1);
    for (let task = 1; task <= tasks; task += 1) {
      const first = chains.firstOf(task);
      if (first === task) firsts.push(task);
      rows[task] = first === task ? firsts.length : (rows[first] ?? 0);
    }
    this.firsts = firsts;
    this.rows = rows;
    this.count = firsts.length;
  }

  firstOf(row: number): number {
    return this.firsts === null ? row : (this.firsts[row - 1] ?? 0);
  }

  /** Those behind the first one. */
  othersOf(row: number): readonly number[] {
    if (this.firsts === null) return NONE;
    return chainsOf(this.plan)?.rowOf(this.firstOf(row)).slice(1) ?? NONE;
  }

  rowOf(task: number): number {
    return this.rows === null ? task : (this.rows[task] ?? task);
  }

  nameOf(shown: ShownFlow, row: number): string {
    const first = this.firstOf(row);
    const others = this.othersOf(row);
    if (others.length === 0) return shown.name(first);
    const maps = [first, ...others].map((task) => shown.name(shown.mapOf(task) ?? task));
    return `[${shown.wordOf(first)}] ${maps.join(" › ")}`;
  }
}

export function ganttRowsOf(shown: ShownFlow): GanttRows {
  const plan = shown.plan.peek();
  const found = plan === null ? undefined : known.get(plan);
  if (found !== undefined) return found;
  const made = new GanttRows(plan, shown.count);
  if (plan !== null) known.set(plan, made);
  return made;
}
