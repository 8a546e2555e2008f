import type { FlowSummary } from "../lib/types.ts";

type Placed = Pick<FlowSummary, "registeredTs" | "taskFlowId">;

/** Which flow stands above the other: as the server orders them, so that those of one moment stay where they are.
 * Times are compared and not their texts, in which a fraction may be shorter than the next one's, or lack. */
export function newestFirst(one: Placed, other: Placed): number {
  const apart = Date.parse(other.registeredTs) - Date.parse(one.registeredTs);
  if (apart !== 0) return apart;
  return one.taskFlowId < other.taskFlowId ? 1 : -1;
}
