// Takes back what was done to many flows, where the engine has the opposite; says how far that could be done.
import { act } from "../lib/api.ts";
import { counted } from "../lib/counts.ts";
import { pathTo } from "../lib/paths.ts";
import type { BulkOperation, BulkResult, Operated } from "./bulk-types.ts";
import { runBulk } from "./run-bulk.ts";

const AT_ONCE = 8;

/** Null: what was done cannot be undone. */
export function undoOf(operation: BulkOperation, result: BulkResult): (() => Promise<string>) | null {
  const { operated, done } = result;
  const moved = operated.filter(({ did }) => did === operation);
  if (moved.length === 0 || operation === "rerun") return null;
  if (operation === "ignore") return () => said(takeBack(moved), done);
  if (operation !== "priority") {
    return () => said(again(operation === "resume" ? "pause" : "resume", moved), moved.length);
  }
  const before = new Set(moved.flatMap(({ priority }) => priority ?? []));
  if (before.size === 0) return null; // their tasks had several
  const back = async () => {
    let flows = 0;
    for (const priority of before) {
      const some = moved.filter((one) => one.priority === priority);
      flows += await again("priority", some, { priority });
    }
    return flows;
  };
  return () => said(back(), done);
}

async function said(undoing: Promise<number>, of: number): Promise<string> {
  const back = await undoing;
  const words = `Undone in ${counted(back, "flow")}`;
  return back >= of ? words : `${words}; ${counted(of - back, "flow")} had gone on, or ended`;
}

async function again(operation: BulkOperation, flows: Operated[], more = {}): Promise<number> {
  const filter = { taskFlowIds: flows.map(({ taskFlowId }) => taskFlowId) };
  return (await runBulk({ operation, filter, ...more }, () => undefined)).done;
}

/** What was ignored waits again, flow by flow. */
async function takeBack(flows: Operated[]): Promise<number> {
  let back = 0;
  const left = [...flows];
  const work = async () => {
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      try {
        await act(pathTo("flows", one.taskFlowId, "unignore"), { tasks: one.tasks });
        back += 1;
      } catch {
        // what is behind it has gone on meanwhile, so the engine refuses; it stays as it is, and is counted
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return back;
}
