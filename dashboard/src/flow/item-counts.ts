// The items of maps: which tasks they are, and how many of them stand where. Those that vanished are none any more.
import type { Stage } from "../lib/statuses.ts";
import type { FlowPlan } from "../lib/types.ts";
import type { ShownFlow } from "./shown-flow.ts";

export type Counts = Partial<Record<Stage, number>>;

const items = new WeakMap<FlowPlan, Map<number, number[]>>();
const counts = new WeakMap<ShownFlow, { frame: number; of: Map<number, Counts> }>();
const NONE: readonly number[] = [];

/** The order in which stages are shown: what needs somebody first. */
export const ITEM_STAGES: readonly Stage[] = [
  ...(["suspended", "givenup", "running", "retry", "awaiting", "ready", "waiting"] as const),
  ...(["finished", "ignored", "nottaken", "cancelled"] as const),
];

/** The items of a map, whether they are there (still) or not. */
export function plannedItems(plan: FlowPlan | null, map: number): readonly number[] {
  if (plan === null) return NONE;
  let found = items.get(plan);
  if (found === undefined) {
    found = new Map();
    for (const [index, of] of (plan.itemOf ?? []).entries()) {
      if (of === 0) continue;
      const own = found.get(of);
      if (own === undefined) found.set(of, [index + 1]);
      else own.push(index + 1);
    }
    items.set(plan, found);
  }
  return found.get(map) ?? NONE;
}

/** Those that failed before the others, each in their order; `rowOf`: which items come with one, and may have failed
    instead of it. */
export function failedFirst(
  live: ShownFlow,
  items: readonly number[],
  rowOf: (item: number) => readonly number[] = (item) => [item],
): readonly number[] {
  const isFailed = (item: number) => live.rows[item]?.status === 2;
  const failed = items.filter((item) => rowOf(item).some(isFailed));
  if (failed.length === 0) return items;
  const first = new Set(failed);
  return [...failed, ...items.filter((item) => !first.has(item))];
}

export function itemsOf(live: ShownFlow, map: number): readonly number[] {
  const all = plannedItems(live.plan.peek(), map);
  return all.length === 0 ? all : all.filter((task) => isThere(live, task));
}

function isThere(live: ShownFlow, item: number): boolean {
  const row = live.rows[item];
  return row !== undefined && row.endedAs !== "v";
}

/** How the items of each map stand, counted once a frame. */
export function countsOf(live: ShownFlow, map: number): Counts | null {
  const frame = live.frame.peek();
  let known = counts.get(live);
  if (known?.frame !== frame) {
    known = { frame, of: new Map() };
    for (const [index, of] of (live.plan.peek()?.itemOf ?? []).entries()) {
      if (of === 0 || !isThere(live, index + 1)) continue;
      const own = known.of.get(of) ?? {};
      const stage = live.stage(index + 1);
      own[stage] = (own[stage] ?? 0) + 1;
      known.of.set(of, own);
    }
    counts.set(live, known);
  }
  return known.of.get(map) ?? null;
}

export function totalOf(all: Counts): number {
  return Object.values(all).reduce((sum, count) => sum + count, 0);
}

/** How many have ended, whatever came of them. */
export function endedOf(all: Counts): number {
  const { finished = 0, ignored = 0, nottaken = 0, cancelled = 0, givenup = 0 } = all;
  return finished + ignored + nottaken + cancelled + givenup;
}
