// Why a task waits, in a sentence, with links to what holds it.
import { moment } from "./times.ts";
import type { NotTaken, WaitReason } from "./types.ts";

export function waitWords(why: WaitReason): string {
  const of = (name: string) => String(why[name] ?? "");
  const scope = () => (of("scope") === "global" ? "everything" : `${of("scope")} ${of("name")}`);
  switch (why.reason) {
    case "dependencies":
      return "It waits for other tasks of its flow:";
    case "items":
      return `It waits for its ${of("count")} items: ${of("failed")} have failed, ${of("running")} run, ${of("waiting")} wait.`;
    case "rule":
      return of("rule") === "failed"
        ? "It waits for one of these to fail (rule failed):"
        : `It waits for ${Number(why.needed) - Number(why.have)} of these to finish (rule ${of("rule")}; ${of("have")} did):`;
    case "awaits":
      return awaited(of("kind"), of("what"), why.untilTs, (why.answeredBy ?? []) as string[]);
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
      return `${of("detail").charAt(0).toUpperCase()}${of("detail").slice(1)}.`;
    case "retry":
      return `It failed, and is tried again at ${time(of("dueTs"))}.`;
    case "round":
      return `Another round of it was asked for: round ${of("round")} begins at ${time(of("dueTs"))}.`;
    case "delayed":
      return `Its flow starts at ${time(of("untilTs"))}.`;
    case "paused":
      return `Its flow is paused by ${of("by")}.`;
    case "scopePaused":
      if (of("scope") === "map") {
        return `Its map ${of("name")} is held: too many of its items were given up.`;
      }
      return `Paused: ${scope()}${of("by") === "" ? "" : `, by ${of("by")}`}${of("because") === "" ? "" : `: ${of("because")}`}.`;
    case "limit":
      if (of("scope") === "map") {
        return `Its map ${of("name")} lets ${of("most")} items run at once, and ${of("running")} do.`;
      }
      return `A limit of ${scope()} is reached: ${of("running")} of ${of("most")} are in use.`;
    case "rate":
      return `${of("rate")} of ${scope()} have started within ${of("periodSeconds")} s; the next may at ${time(of("untilTs"))}.`;
    case "behind":
      return `It is ready, behind ${of("tasks")}${why.atLeast ? " or more" : ""} others in its queue.`;
    case "noPlaceInMap":
      return `It waits for a place in the window of map ${of("map")}, which lets ${of("most")} go on at once: ${of("inside")} do, and ${of("ahead")} come first.`;
    case "noPlace":
      return `${of("underWay")} of ${of("most")} flows of its workflow are under way; ${of("ahead")} come first.`;
    default:
      return why.reason;
  }
}

function awaited(kind: string, what: string, until: unknown, answeredBy: string[]): string {
  const end = typeof until === "string" ? time(until) : null;
  if (kind === "when") return `It is to be decided: ${what}.`;
  if (kind === "map") return `It is to be expanded, or its list is to be made; its items run ${what}.`;
  if (kind === "flow") return `It waits for its child: ${what}.`;
  if (kind === "childEnd") return `It waits until its child has ended, as its flow does: ${what}.`;
  if (kind === "childBefore") return `Another child begins when the one before has cleaned up: ${what}.`;
  if (kind === "returns") return "It is worked out what the flow returns.";
  if (kind === "sleep") return end === null ? "It sleeps." : `It sleeps until ${end}.`;
  const said = kind === "event" ? `the signal ${what}` : `somebody's approval: ${what}`;
  const others = answeredBy.length > 0 ? ` of others than ${answeredBy.join(", ")}` : "";
  return `It waits for ${said}${others}${end === null ? "" : `, until ${end}`}.`;
}

/** Why its rule passed over a task, before the names of those that decided it. */
export function notTakenWords(why: NotTaken): string {
  if (why.because === "branch") return `Not taken: ${why.decision}.`;
  const one = why.count === 1;
  const because: Record<string, string> = {
    givenUp: one ? "one before it was given up:" : "those before it were given up:",
    missingValue: "a value that it cannot do without will not come, as these have none:",
    noneTaken: one ? "what is before it was not taken:" : "none of these was taken:",
    notFinished: "these did not finish:",
    tooFew: `${why.needed} before it must finish, which can no longer be, as these did not:`,
    noFailure: "none of these failed:",
  };
  return `Not taken, by its rule ${why.rule}: ${because[why.because] ?? "the rule says so."}`;
}

function time(text: string): string {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : moment(ms);
}
