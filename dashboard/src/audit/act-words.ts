// What people did, in words; and which acts belong together for somebody who looks for one.
export interface Act {
  at: string;
  by: string;
  act: string;
  taskFlowId: string | null;
  taskId: string | null;
  task: number | null;
  tasks: number | null;
  name: string | null;
  reason: string;
  details: Record<string, unknown> | null;
}

/** By the word of a chip: the acts, or what they begin with. */
export const KINDS: readonly [string, string, readonly string[]][] = [
  [
    "operations",
    "Operations",
    [
      ...["flow.rerun", "flow.cancelled", "flow.ending", "flow.paused", "flow.resumed", "flow.prioritised"],
      ...["task.ignored", "tasks.ignored", "task.unignored", "bulk"],
    ],
  ],
  ["registrations", "Registrations", ["flow.registered"]],
  ["answers", "Answers", ["task.voted", "task.answered", "flow.signalled", "signal", "link"]],
  ["workflows", "Workflows", ["workflow"]],
  ["schedules", "Schedules", ["schedule", "calendar", "backfill"]],
  ["limits", "Limits", ["limit", "strike"]],
  ["hooks", "Hooks", ["hook"]],
  ["sessions", "Sessions", ["session"]],
  ["refused", "Refused", ["access"]],
  ["engine", "Engine", ["engine", "partition"]],
];

const OF_FLOWS: Record<string, string> = {
  "flow.registered": "registered",
  "flow.rerun": "reran",
  "flow.cancelled": "cancelled",
  "flow.ending": "began to end",
  "flow.paused": "paused",
  "flow.resumed": "resumed",
  "flow.prioritised": "gave another priority to",
  "flow.signalled": "signalled",
  "task.ignored": "ignored",
  "tasks.ignored": "ignored",
  "task.unignored": "took back ignoring",
  "task.voted": "answered, with others to come, in",
  "task.answered": "answered in",
  "link.made": "made a link to answer in",
};

const OF_OTHERS: Record<string, string> = {
  "bulk.rerun": "reran flows in bulk",
  "bulk.resume": "resumed flows in bulk",
  "bulk.ignore": "ignored failed tasks in bulk",
  "bulk.cancel": "cancelled flows in bulk",
  "bulk.pause": "paused flows in bulk",
  "bulk.priority": "gave flows another priority in bulk",
  "hook.tried": "tried hook",
  "hook.told_again": "told again by hook",
  "access.refused": "was refused, from",
  "engine.migrated": "migrated the tables",
  "partition.retiring": "retired partition",
  "partition.kept": "kept partition",
  "partition.retired": "took away partition",
  "engine.recovered": "recovered Redis",
  "engine.adopted": "had Redis adopted by another Postgres",
  "engine.bridged": "bridged gaps of the history",
  "engine.pruned": "pruned old flows",
  "engine.replayed": "replayed the archive into the tables",
  "session.began": "logged in",
  "session.ended": "logged out",
  "signal.added": "sent a signal that is kept,",
  "signal.deleted": "deleted the kept signal",
  "strike.added": "struck, as",
  "strike.deleted": "lifted strike",
  "limit.added": "set limits of",
  "limit.changed": "changed limits of",
  "limit.deleted": "took back the limits of",
};

/** What somebody did, up to what he did it to. */
export function verbOf({ act, task, tasks }: Act): string {
  const [kind = "", done = ""] = act.split(".");
  const said = OF_FLOWS[act];
  if (said === undefined) return OF_OTHERS[act] ?? `${done} ${kind}`;
  if (act === "flow.registered") return said;
  if (task !== null) return `${said} task ${task} of`.replace(/ in task (\d+) of$/, " task $1 of");
  return tasks === null ? said : `${said} ${tasks.toLocaleString()} ${tasks === 1 ? "task" : "tasks"} of`;
}

/** Where what was done can be seen as it is now; null: nowhere. */
export function placeOf({ act, name, taskId }: Act): string[] | null {
  const [kind = "", done] = act.split(".");
  if (name === null || done === "deleted") return kind === "bulk" ? ["flows"] : null;
  if (kind === "workflow") return ["workflows", name];
  if (kind === "schedule") return ["schedules", name];
  if (kind === "backfill") return ["schedules", name.split(" ").slice(0, -1).join(" ")];
  if (kind === "hook") return ["hooks", name];
  if (kind === "limit" || kind === "strike") return ["limits"];
  return taskId === null ? null : ["workflows", taskId];
}

/** What a change came to: each thing that is otherwise, as it was and as it is. */
export function changesOf({ act, details }: Act): string[] {
  const isNew = act.endsWith(".added");
  return Object.entries(details ?? {}).flatMap(([name, value]) => {
    const word = name.replaceAll("_", " ");
    if (value === null) return isNew ? [] : [`${word} changed`]; // it may be secret
    if (!Array.isArray(value)) return [`${word} ${shown(value)}`];
    const [before, now] = value;
    if (isNew && USUAL[name] === now) return [];
    if (typeof now === "boolean") return [`${now ? "" : "not "}${word.replace(/^is /, "")}`];
    return [isNothing(before) ? `${word} ${shown(now)}` : `${word} ${shown(before)} → ${shown(now)}`];
  });
}

/** What stands in a row where nobody said anything. */
const USUAL: Record<string, unknown> = {
  at_max_flows: "queue",
  rate_period_seconds: 1,
  timezone: "UTC",
  overlap: "skip",
  catch_up: "latest",
  max_catch_up: 10,
  jitter_seconds: 0,
  which: "missed",
};

function isNothing(value: unknown): boolean {
  return value === null || value === undefined;
}

function shown(value: unknown): string {
  if (isNothing(value)) return "none";
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value.join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
