// A flow as the stream of its changes tells it: rows are assigned, nothing is added up here.
import { signal } from "@preact/signals";
import { ask, isAborted } from "../lib/api.ts";
import { follow, type ServerEvent } from "../lib/events.ts";
import { type Stage, stageOf } from "../lib/statuses.ts";
import type { FlowPlan, FlowRow, Layout, TaskRow } from "../lib/types.ts";

export class LiveFlow {
  readonly id: string;
  /** Moves with every frame; whoever shows rows reads it. */
  readonly frame = signal(0);
  readonly plan = signal<FlowPlan | null>(null);
  readonly flow = signal<FlowRow | null>(null);
  readonly layout = signal<Layout | null>(null);
  readonly problem = signal<string | null>(null);
  /** By number of the task, from 1 on. */
  readonly rows: TaskRow[] = [];
  private columns: (keyof TaskRow)[] = [];
  private readonly ending = new AbortController();

  constructor(id: string) {
    this.id = id;
    follow(
      `flows/${encodeURIComponent(id)}/changes`,
      (event) => this.take(event),
      (detail) => (this.problem.value = detail),
      this.ending.signal,
    );
  }

  close(): void {
    this.ending.abort();
  }

  stage(task: number): Stage {
    const row = this.rows[task];
    return row === undefined ? "waiting" : stageOf(row);
  }

  name(task: number): string {
    const plan = this.plan.peek();
    return plan?.names[task - 1] ?? plan?.programs[task - 1] ?? String(task);
  }

  get count(): number {
    return this.rows.length - 1;
  }

  /** The tasks that wait for one. */
  dependents(task: number): number[] {
    const all = this.plan.peek()?.dependsOn ?? [];
    return all.flatMap((on, index) => (on.includes(task) ? [index + 1] : []));
  }

  private take({ kind, data }: ServerEvent): void {
    const told = JSON.parse(data);
    if (kind === "problem") {
      this.problem.value = told.detail;
      return;
    }
    if (kind === "table") {
      this.columns = told.columns;
      this.rows.length = 1;
      this.plan.value = told.plan;
      this.loadLayout();
    }
    for (const values of told.rows as unknown[][]) {
      const row = Object.fromEntries(
        this.columns.map((name, index) => [name, values[index]]),
      ) as unknown as TaskRow;
      this.rows[row.task] = row;
    }
    this.problem.value = null;
    this.flow.value = told.flow;
    this.frame.value += 1;
  }

  private async loadLayout(): Promise<void> {
    try {
      this.layout.value = await ask<Layout>(
        `flows/${encodeURIComponent(this.id)}/layout`,
        this.ending.signal,
      );
    } catch (error) {
      if (!isAborted(error)) this.problem.value = error instanceof Error ? error.message : String(error);
    }
  }
}
