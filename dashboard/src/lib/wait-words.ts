// Why a task waits, in a sentence, with links to what holds it.
import type { WaitReason } from "./types.ts";

export function waitWords(why: WaitReason): string {
  const of = (name: string) => String(why[name] ?? "");
  const scope = () => (of("scope") === "global" ? "everything" : `${of("scope")} ${of("name")}`);
  switch (why.reason) {
    case "dependencies":
      return "It waits for other tasks of its flow:";
    case "noWorker":
      return why.isQueueServed
        ? `No live worker serves the program ${of("program")} in the queue ${of("queue")}.`
        : `No live worker serves the queue ${of("queue")}.`;
    case "cannotStart":
      return `Worker ${of("worker")} cannot start the program ${of("program")}: ${of("detail")}`;
    case "noVersion":
      return `Every live version of the program ${of("program")} has refused its parameters.`;
    case "ready":
      return "It is ready and waits for a free slot of a worker.";
    case "unknown":
      return of("detail");
    case "retry":
      return `It failed, and is tried again at ${time(of("dueTs"))}.`;
    case "delayed":
      return `Its flow starts at ${time(of("untilTs"))}.`;
    case "paused":
      return `Its flow is paused by ${of("by")}.`;
    case "scopePaused":
      return `Paused: ${scope()}${of("by") === "" ? "" : `, by ${of("by")}`}${of("because") === "" ? "" : `: ${of("because")}`}.`;
    case "limit":
      return `A limit of ${scope()} is reached: ${of("running")} of ${of("most")} are in use.`;
    case "rate":
      return `${of("rate")} of ${scope()} have started within ${of("periodSeconds")} s; the next may at ${time(of("untilTs"))}.`;
    case "behind":
      return `It is ready, behind ${of("tasks")}${why.atLeast ? " or more" : ""} others in its queue.`;
    case "noPlace":
      return `${of("underWay")} of ${of("most")} flows of its workflow are under way; ${of("ahead")} come first.`;
    default:
      return why.reason;
  }
}

function time(text: string): string {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : new Date(ms).toLocaleTimeString();
}
