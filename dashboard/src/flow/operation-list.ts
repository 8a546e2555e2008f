// Which operations fit how a flow and the chosen task stand, the likeliest first.
import type { LiveFlow } from "./live-flow.ts";

/** What takes an operation back. */
export interface Undo {
  path: string;
  body: Record<string, unknown>;
}

export type OperationKind = "plain" | "rerun" | "rerun-many" | "ignore" | "fork" | "priority";

export interface Operation {
  kind: OperationKind;
  name: string;
  path: string;
  body: Record<string, unknown>;
  task: number | null;
  undo: Undo | null;
}

export function operationsOf(live: LiveFlow, task: number | null): Operation[] {
  const flow = live.flow.value;
  if (flow === null) return [];
  const row = task === null ? undefined : live.rows[task];
  const version = flow.version;
  const isOver = flow.finishedMs !== null;
  const found: Operation[] = [];
  const add = (kind: OperationKind, name: string, path: string, more: Partial<Operation> = {}) =>
    found.push({ kind, name, path, body: { version }, task, undo: null, ...more });
  if (
    row !== undefined &&
    (row.status !== 0 || row.retryMs !== null || row.againMs !== null) &&
    row.status !== 1
  ) {
    add("rerun", "Rerun task", "rerun", { body: { tasks: [task], scope: "dependents", version } });
  }
  if (flow.suspended > 0) {
    add("rerun-many", "Rerun failed", "rerun", { body: { selection: "failed", version } });
  }
  if (row !== undefined && !isOver && (row.status === 0 || (row.status === 2 && row.endedAs === ""))) {
    add("ignore", "Ignore task", "ignore", {
      body: { tasks: [task], version },
      undo: { path: "unignore", body: { tasks: [task] } },
    });
  }
  if (
    row !== undefined &&
    row.status === 9 &&
    row.endedAs !== "n" &&
    row.endedAs !== "w" &&
    row.endedAs !== "u"
  ) {
    add("plain", "Unignore task", "unignore", {
      body: { tasks: [task], version },
      undo: { path: "ignore", body: { tasks: [task] } },
    });
  }
  if (!isOver) {
    if (flow.pausedMs !== null) {
      add("plain", "Resume", "resume", {
        body: {}, // as it stands by then: nothing of what was seen is at stake
        undo: { path: "pause", body: {} },
      });
    } else {
      add("plain", "Pause", "pause", {
        body: {},
        undo: { path: "resume", body: {} },
      });
    }
    add("plain", "Cancel", "cancel", { undo: { path: "resume", body: {} } });
    const priority = live.rows[1]?.priority ?? 0;
    add("priority", "Priority", "priority", { body: {}, undo: { path: "priority", body: { priority } } });
  } else if (flow.suspended === 0 || flow.cancelledMs !== null) {
    if (flow.cancelledMs !== null) {
      add("plain", "Resume", "resume");
    }
    add("rerun-many", "Rerun all", "rerun", { body: { selection: "all", version } });
  }
  if (task !== null) {
    // Of a flow that goes on no version is said: what it does meanwhile is taken over.
    add("fork", "Fork from task", "fork", { body: { fromTasks: [task], ...(isOver && { version }) } });
  }
  return found;
}
