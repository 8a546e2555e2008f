// Where one sees, and changes, what a task waits for beyond its flow.
import { hrefOf } from "../lib/route.ts";
import type { WaitReason } from "../lib/types.ts";
import type { ShownFlow } from "./shown-flow.ts";

/** The address and its words; null: nothing beyond its flow holds it. */
export function placeOfWait(live: ShownFlow, task: number, why: WaitReason): [string, string] | null {
  const limits = (scope: unknown, name: unknown): [string, string] => [
    hrefOf(["limits"], { line: scope === "global" ? "global " : `${scope} ${name}` }),
    "Its limit or pause",
  ];
  switch (why.reason) {
    case "scopePaused":
    case "limit":
    case "rate":
      return why.scope === "map" ? null : limits(why.scope, why.name);
    case "noPlace":
      return limits("workflow", live.plan.peek()?.taskId);
    case "noWorker":
    case "cannotStart":
    case "noVersion":
    case "ready":
    case "behind":
      return [hrefOf(["workers"]), "Workers and queues"];
    case "awaits":
      if (why.kind === "event") return [hrefOf(["approvals"], { view: "signals" }), "Send a signal"];
      if (["when", "map", "flow", "returns", "sleep"].includes(String(why.kind))) return null;
      return [hrefOf(["approvals"], { line: `${live.id}/${task}` }), "Answer it"];
    default:
      return null;
  }
}
