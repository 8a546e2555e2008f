// Chains: maps that go along others, so that each item waits for the one with its index, alone. Who follows one element
// from map to map finds all that became of it in one row.
import type { FlowPlan } from "../lib/types.ts";

const known = new WeakMap<FlowPlan, Chains>();
const NONE: readonly number[] = [];

export class Chains {
  /** Of each task the item before it in its chain; 0: there is none. */
  private readonly before: Int32Array;
  /** Of the first item of a row all that are in it, in order of their numbers. */
  private readonly rows = new Map<number, number[]>();
  /** Of a map that goes along another one: that. */
  private readonly along = new Map<number, number>();
  /** Every task, items behind those that they go along; null: as they are numbered. */
  readonly order: readonly number[] | null;

  constructor({ dependsOn, itemOf = [] }: FlowPlan) {
    this.before = new Int32Array(dependsOn.length + 1);
    for (const [index, of] of itemOf.entries()) {
      if (of === 0) continue;
      const before = dependsOn[index]?.find((on) => (itemOf[on - 1] || of) !== of);
      if (before === undefined) continue;
      const item = index + 1;
      this.before[item] = before;
      this.along.set(of, itemOf[before - 1] ?? 0);
      const first = this.firstOf(before);
      const row = this.rows.get(first);
      if (row === undefined) this.rows.set(first, [first, item]);
      else row.push(item);
    }
    this.order = this.rows.size === 0 ? null : this.ordered(dependsOn.length);
  }

  /** All items that one element came to, from map to map; none: it is in no chain. */
  rowOf(item: number): readonly number[] {
    return this.rows.get(this.firstOf(item)) ?? NONE;
  }

  /** The map whose items those of a map go along; null: it goes along none. */
  mapBefore(map: number): number | null {
    return this.along.get(map) ?? null;
  }

  /** The maps of the chain that a map is in, in order; none: it is in none. */
  mapsOf(map: number): readonly number[] {
    const first = this.firstMapOf(map);
    const behind = [...this.along.keys()].filter((one) => this.firstMapOf(one) === first);
    return behind.length === 0 ? NONE : [first, ...behind.sort((one, other) => one - other)];
  }

  /** The first map of each chain. */
  get firstMaps(): number[] {
    return [...new Set([...this.along.keys()].map((map) => this.firstMapOf(map)))];
  }

  /** The first item of the row that an item is in; itself where it is in none, or is none. */
  firstOf(item: number): number {
    let first = item;
    for (let before = this.before[first]; before; before = this.before[first]) first = before;
    return first;
  }

  private firstMapOf(map: number): number {
    let first = map;
    for (let before = this.along.get(first); before; before = this.along.get(first)) first = before;
    return first;
  }

  private ordered(count: number): number[] {
    const order: number[] = [];
    for (let task = 1; task <= count; task += 1) {
      if (this.before[task]) continue;
      const row = this.rows.get(task);
      if (row === undefined) order.push(task);
      else order.push(...row);
    }
    return order;
  }
}

/** The chains of a flow. */
export function chainsOf(plan: FlowPlan | null): Chains | null {
  if (plan === null || (plan.itemOf ?? []).length === 0) return null;
  let found = known.get(plan);
  if (found === undefined) {
    found = new Chains(plan);
    known.set(plan, found);
  }
  return found.order === null ? null : found;
}
