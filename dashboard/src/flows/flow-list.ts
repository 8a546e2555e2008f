// The list of flows: pages by cursor, rows that move with the stream of changes.
import { signal } from "@preact/signals";
import { ask, isAborted } from "../lib/api.ts";
import { follow } from "../lib/events.ts";
import type { FlowSummary, FlowsPage } from "../lib/types.ts";
import { newestFirst } from "./flow-order.ts";

export interface Filters {
  taskId: string;
  status: string[];
  since: string;
  /** Only those of the tree below this flow. */
  trunk: string;
}

const PAGE = 50;
const REFRESH_MS = 1_000;

export class FlowList {
  readonly flows = signal<FlowSummary[] | null>(null);
  readonly next = signal<string | null>(null);
  readonly problem = signal<string | null>(null);
  readonly warnings = signal<string[]>([]);
  private readonly filters: Filters;
  private readonly ending = new AbortController();
  private timer = 0;
  private isDue = false;

  constructor(filters: Filters) {
    this.filters = filters;
    this.load().catch(() => undefined);
    follow(
      "changes",
      ({ kind, data }) => {
        if (kind === "flows") this.take(JSON.parse(data).flows);
        else if (kind === "reset") this.loadSoon();
      },
      (detail) => (this.problem.value = detail),
      this.ending.signal,
    );
  }

  close(): void {
    this.ending.abort();
    clearTimeout(this.timer);
  }

  async load(): Promise<void> {
    try {
      const page = await ask<FlowsPage>(this.path(null), this.ending.signal);
      this.flows.value = page.flows;
      this.next.value = page.next;
      this.warnings.value = page.warnings ?? [];
      this.problem.value = null;
    } catch (error) {
      if (!isAborted(error)) this.problem.value = String(error instanceof Error ? error.message : error);
    }
  }

  async more(): Promise<void> {
    if (this.next.value === null) return;
    const page = await ask<FlowsPage>(this.path(this.next.value), this.ending.signal);
    const known = new Set(this.flows.value?.map((flow) => flow.taskFlowId));
    this.flows.value = [
      ...(this.flows.value ?? []),
      ...page.flows.filter(({ taskFlowId }) => !known.has(taskFlowId)),
    ];
    this.next.value = page.next;
  }

  /** Flows that changed: those that are shown stand otherwise, new ones come on top, others go. */
  private take(changed: FlowSummary[]): void {
    if (this.flows.value === null) return;
    const byId = new Map(changed.map((flow) => [flow.taskFlowId, flow]));
    const kept = this.flows.value.map((flow) => {
      const moved = byId.get(flow.taskFlowId);
      byId.delete(flow.taskFlowId);
      return moved ?? flow;
    });
    const last = this.next.value === null ? undefined : this.flows.value.at(-1); // behind it there are pages
    const added = [...byId.values()].filter((flow) => last === undefined || newestFirst(flow, last) < 0);
    const all = [...added, ...kept].filter((flow) => this.matches(flow));
    this.flows.value = all.sort(newestFirst);
  }

  private matches(flow: FlowSummary): boolean {
    const { taskId, status, since, trunk } = this.filters;
    const isFailed = status.includes("failed") && flow.status === "Suspend" && flow.finishedTs !== null;
    return (
      (taskId === "" || flow.taskId === taskId) &&
      (trunk === "" || flow.trunkFlowId === trunk) &&
      (status.length === 0 || status.includes(flow.status.toLowerCase()) || isFailed) &&
      (since === "" || Date.parse(flow.registeredTs) >= Date.parse(since))
    );
  }

  private loadSoon(): void {
    if (this.isDue) return;
    this.isDue = true;
    this.timer = window.setTimeout(() => {
      this.isDue = false;
      this.load();
    }, REFRESH_MS);
  }

  /** The same flows as the API takes them where it does something to many; none that came after those shown. */
  bulkFilter(): Record<string, unknown> {
    const { taskId, status, since, trunk } = this.filters;
    const newest = this.flows.value?.[0]?.registeredTs;
    return {
      ...(taskId !== "" && { taskId }),
      ...(status.length > 0 && { status }),
      ...(since !== "" && { since }),
      ...(trunk !== "" && { trunk }),
      ...(newest !== undefined && { until: new Date(Date.parse(newest) + 1).toISOString() }),
    };
  }

  private path(cursor: string | null): string {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (this.filters.taskId !== "") query.set("taskId", this.filters.taskId);
    for (const status of this.filters.status) query.append("status", status);
    if (this.filters.since !== "") query.set("since", this.filters.since);
    if (this.filters.trunk !== "") query.set("trunk", this.filters.trunk);
    if (cursor !== null) query.set("cursor", cursor);
    return `flows?${query}`;
  }
}
