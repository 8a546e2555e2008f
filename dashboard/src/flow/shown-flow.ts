// A flow as every pane shows it: as it stands now (live-flow.ts), or stood at a moment (past-flow.ts).
import { type ReadonlySignal, signal } from "@preact/signals";
import { type Stage, stageOf } from "../lib/statuses.ts";
import type { FlowPlan, FlowRow, Layout, TaskRow } from "../lib/types.ts";

export abstract class ShownFlow {
  abstract readonly id: string;
  /** Moves whenever rows do; whoever shows rows reads it. */
  abstract readonly frame: ReadonlySignal<number>;
  abstract readonly plan: ReadonlySignal<FlowPlan | null>;
  abstract readonly flow: ReadonlySignal<FlowRow | null>;
  abstract readonly layout: ReadonlySignal<Layout | null>;
  abstract readonly problem: ReadonlySignal<string | null>;
  /** By number of the task, from 1 on. */
  abstract readonly rows: readonly (TaskRow | undefined)[];
  /** The position of the log for which it is shown; null: now. */
  readonly at: string | null = null;

  get count(): number {
    return this.rows.length - 1;
  }

  stage(task: number): Stage {
    const row = this.rows[task];
    return row === undefined ? "waiting" : stageOf(row);
  }

  name(task: number): string {
    const plan = this.plan.peek();
    const map = this.mapOf(task);
    if (map !== null) return `${this.name(map)}[${this.wordOf(task)}]`;
    return plan?.names[task - 1] ?? plan?.programs[task - 1] ?? String(task);
  }

  /** Of an item its key, where its map says by what they are told apart; else "". */
  keyOf(task: number): string {
    return this.plan.peek()?.itemKeys?.[task - 1] ?? "";
  }

  /** What tells an item from others of its map: its key, or its index. */
  wordOf(task: number): string {
    return this.keyOf(task) || String(this.plan.peek()?.itemIndex?.[task - 1]);
  }

  /** Of an item its map; null: it is none. */
  mapOf(task: number): number | null {
    return this.plan.peek()?.itemOf?.[task - 1] || null;
  }

  /** The task that stands for it in the graph: of an item its map. */
  drawnAs(task: number): number {
    const map = this.mapOf(task);
    return map === null ? task : this.drawnAs(map);
  }

  /** Whether it is in a tree of flows. */
  get isInTree(): boolean {
    const plan = this.plan.peek();
    return Boolean(plan?.parent) || (plan?.programs.includes("@flow") ?? false);
  }

  /** The tasks that wait for one. */
  dependents(task: number): number[] {
    const all = this.plan.peek()?.dependsOn ?? [];
    return all.flatMap((on, index) => (on.includes(task) ? [index + 1] : []));
  }

  /** The address of what the API tells of a task, at the moment for which it is shown. */
  pathOf(task: number): string {
    const at = this.at === null ? "" : `?at=${encodeURIComponent(this.at)}`;
    return `flows/${encodeURIComponent(this.id)}/tasks/${task}${at}`;
  }
}

/** A signal that stays as it is. */
export function fixed<T>(value: T): ReadonlySignal<T> {
  return signal(value);
}
