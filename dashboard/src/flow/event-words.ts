// What an event of a flow says, in words: who did what to which task.
import { counted } from "../lib/counts.ts";
import type { ShownFlow } from "./shown-flow.ts";

export interface FlowEvent {
  type: string;
  at: number;
  v?: number;
  task?: number;
  attempt?: number;
  by?: string;
  worker?: string;
  reason?: string;
  error?: { type: string; message: string };
  [more: string]: unknown;
}

export interface EventLine {
  position: string;
  archived: boolean;
  event: FlowEvent | null;
  error: string | null;
}

const MOST_TASKS = 3;
const WORDS: Record<string, string> = {
  "flow.registered": "registered",
  "flow.snapshot": "found as it stood, after a gap of its history",
  "task.started": "started",
  "task.finished": "finished",
  "task.suspended": "failed",
  "task.returned": "handed back",
  "task.lapsed": "lost with its worker",
  "task.retrying": "failed, to be tried again",
  "task.again": "asks for another round",
  "flow.again": "asks for another round of its flow",
  "task.progressed": "told of its progress",
  "task.overdue": "waited too long",
  "task.given_up": "failed, given up",
  "tasks.passed": "passed over by rules",
  "tasks.unneeded": "cancelled, as nobody needs them any more",
  "task.awaiting": "waits for the world",
  "task.voted": "was answered, and waits for others",
  "task.answered": "was answered",
  "task.expanded": "has its items",
  "task.lifted": "goes on with its sub-flow",
  "task.ignored": "passed over",
  "tasks.ignored": "passed over",
  "task.unignored": "waits again",
  "flow.signalled": "signalled",
  "flow.rerun": "rerun",
  "flow.cancelled": "cancelled",
  "flow.ending": "ends, but for its cleanup",
  "flow.timed_out": "took too long",
  "flow.paused": "paused",
  "flow.resumed": "resumed",
  "flow.prioritised": "has another priority",
  "outcome.refused": "refused: too late",
};

/** The tasks that an event names. */
export function tasksOf(event: FlowEvent): number[] {
  if (typeof event.task === "number") return [event.task];
  const found: number[] = [];
  for (const [from, to] of [event.ranges, event.held].flatMap((runs) => (runs ?? []) as [number, number][])) {
    for (let task = from; task <= to && found.length < 1_000; task += 1) found.push(task);
  }
  for (const name of ["finished", "ignored", "suspended", "waiting", "running"]) {
    const tasks = event[name];
    if (Array.isArray(tasks)) found.push(...(tasks as number[]));
  }
  return found;
}

export function nameOfTasks(shown: ShownFlow, event: FlowEvent): string {
  const tasks = tasksOf(event);
  const names = tasks.slice(0, MOST_TASKS).map((task) => shown.name(task));
  return names.join(", ") + (tasks.length > MOST_TASKS ? ` and ${tasks.length - MOST_TASKS} more` : "");
}

export function wordOfEvent(event: FlowEvent): string {
  return WORDS[event.type] ?? event.type;
}

function takenOver(items: number): string {
  return `${counted(items, "item")} taken over, as they were there before`;
}

/** What else it says: by whom, why, as which attempt. */
export function detailOf(event: FlowEvent): string {
  const found: string[] = [];
  if (event.error) found.push(`${event.error.type}: ${event.error.message.split("\n", 1)[0]}`);
  if (event.by) found.push(`by ${event.by}`);
  if (event.reason) found.push(String(event.reason));
  if (event.type === "flow.prioritised") found.push(String(event.priority));
  if (event.type === "flow.signalled") found.push([event.name, event.key].filter(Boolean).join(" "));
  if (event.type === "task.progressed") found.push(String(event.note ?? ""));
  if (event.type === "task.expanded" && Array.isArray(event.taken)) found.push(takenOver(event.taken.length));
  if (event.worker) found.push(`on ${event.worker}`);
  if ((event.attempt ?? 0) > 1) found.push(`attempt ${event.attempt}`);
  return found.filter((one) => one !== "").join(" · ");
}
