// A flow as the stream of its changes tells it: rows are assigned, nothing is added up here.
import { signal } from "@preact/signals";
import { ask, isAborted } from "../lib/api.ts";
import { follow, type ServerEvent } from "../lib/events.ts";
import { took } from "../lib/tracing.ts";
import type { FlowPlan, FlowRow, Layout, TaskRow } from "../lib/types.ts";
import { ShownFlow } from "./shown-flow.ts";
import { Timeline, type TimelineColumns } from "./timeline.ts";

const LEAST_REST_MS = 2_000; // between two readings of the whole timeline
const REST_SHARE = 10; // so that no more than a tenth of the time goes to it

export class LiveFlow extends ShownFlow {
  readonly id: string;
  readonly frame = signal(0);
  readonly plan = signal<FlowPlan | null>(null);
  readonly flow = signal<FlowRow | null>(null);
  readonly layout = signal<Layout | null>(null);
  readonly problem = signal<string | null>(null);
  readonly rows: TaskRow[] = [];
  /** When each task stood where; read once somebody wants it, and again as the flow goes on. */
  readonly timeline = signal<Timeline | null>(null);
  readonly isTimelineWanted = signal(false);
  private columns: (keyof TaskRow)[] = [];
  private timer = 0;
  private readonly ending = new AbortController();

  /** ``isMain``: the screen is as live as this is. */
  constructor(id: string, { isMain = true } = {}) {
    super();
    this.id = id;
    follow(
      `flows/${encodeURIComponent(id)}/changes`,
      (event) => this.take(event),
      (detail) => (this.problem.value = detail),
      this.ending.signal,
      { isMain },
    );
    this.readLayout();
  }

  close(): void {
    this.ending.abort();
    clearTimeout(this.timer);
  }

  /** The timeline is to be there, and to go on with the flow. */
  wantTimeline(): void {
    if (this.isTimelineWanted.peek()) return;
    this.isTimelineWanted.value = true;
    if (this.frame.peek() > 0) this.readTimeline(0);
  }

  private take({ kind, data }: ServerEvent): void {
    const began = performance.now();
    const told = JSON.parse(data);
    if (kind === "problem") {
      this.problem.value = told.detail;
      return;
    }
    if (kind === "table") {
      this.columns = told.columns;
      this.rows.length = 1;
      this.plan.value = told.plan;
      if (this.frame.peek() > 0) this.readLayout(); // else it was asked for together with the stream
    }
    for (const values of told.rows as unknown[][]) {
      const row: Partial<Record<keyof TaskRow, unknown>> = {};
      for (let index = 0; index < this.columns.length; index += 1) {
        row[this.columns[index] as keyof TaskRow] = values[index];
      }
      this.rows[row.task as number] = row as TaskRow;
    }
    this.problem.value = null;
    this.flow.value = told.flow;
    this.frame.value += 1;
    took("flow-frame", began);
    if (this.isTimelineWanted.peek()) this.readTimeline(this.timeline.peek() === null ? 0 : LEAST_REST_MS);
  }

  private readLayout(): void {
    this.load<Layout>("layout", (layout) => (this.layout.value = layout));
  }

  private readTimeline(rest: number): void {
    if (this.timer !== 0) return;
    this.timer = window.setTimeout(async () => {
      const asked = performance.now();
      await this.load<TimelineColumns>("timeline", (columns) => {
        this.timeline.value = new Timeline(columns, this.count);
      });
      const spent = performance.now() - asked;
      this.timer = 0;
      const version = this.flow.peek()?.version ?? 0;
      if (!this.ending.signal.aborted && (this.timeline.peek()?.columns.version ?? version) < version) {
        this.readTimeline(Math.max(LEAST_REST_MS, REST_SHARE * spent));
      }
    }, rest);
  }

  private async load<T>(what: string, take: (answer: T) => void): Promise<void> {
    try {
      take(await ask<T>(`flows/${encodeURIComponent(this.id)}/${what}`, this.ending.signal));
    } catch (error) {
      if (!isAborted(error)) this.problem.value = error instanceof Error ? error.message : String(error);
    }
  }
}
