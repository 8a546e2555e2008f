// Those tasks of a flow that stand in a certain way, as its head counts them; the word is in the address.
import { STAGE_WORDS, type Stage } from "../lib/statuses.ts";
import { chainsOf } from "./chains.ts";
import type { ShownFlow } from "./shown-flow.ts";

/** What the head of a flow counts, in its order: what needs somebody first. */
export const COUNTED: readonly Stage[] = [
  "suspended",
  "givenup",
  "running",
  "waiting",
  "finished",
  "ignored",
];

/** What a count calls its tasks: it counts several stages as one. */
export function wordOfCount(stage: Stage): string {
  if (stage === "waiting") return "waiting";
  return STAGE_WORDS[stage];
}

function countedAs(stage: Stage): Stage | null {
  switch (stage) {
    case "ready":
    case "retry":
    case "awaiting":
      return "waiting";
    case "nottaken":
    case "cancelled":
      return "ignored";
    case "vanished":
      return null;
    default:
      return stage;
  }
}

/** The tasks that a count is of (null: all of them), in the order in which they are listed: items of a chain behind
    those that they go along. Null: all, as they are numbered. */
export function chosenTasks(live: ShownFlow, wanted: string | null): readonly number[] | null {
  const order = chainsOf(live.plan.peek())?.order ?? null;
  if (wanted === null) return order;
  const found: number[] = [];
  for (let at = 1; at <= live.count; at += 1) {
    const task = order === null ? at : (order[at - 1] ?? 0);
    if (live.rows[task] !== undefined && countedAs(live.stage(task)) === wanted) found.push(task);
  }
  return found;
}
