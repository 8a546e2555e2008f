// Works off an operation on many flows, and tells how far it is: lines of JSON as they come.
import { act, problemOf, sendJson } from "../lib/api.ts";
import { counted } from "../lib/counts.ts";
import { pathTo } from "../lib/paths.ts";

export interface Tally {
  done: number;
  refused: number;
  of: number;
}

export interface BulkResult {
  ended: "finished" | "stopped";
  done: number;
  refused: number;
  refusals: { taskFlowId: string; detail: string }[];
  /** The first flows for which it is done, with the tasks that were ignored. */
  operated: { taskFlowId: string; tasks: number[] }[];
}

type Line = ({ kind: "progress" } & Tally) | ({ kind: "result" } & BulkResult);

export async function runBulk(body: unknown, onTally: (tally: Tally) => void): Promise<BulkResult> {
  const reply = await sendJson("bulk", body);
  if (!reply.ok || reply.body === null) throw await problemOf(reply);
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : (lines.pop() ?? "");
    for (const text of lines) {
      if (text === "") continue;
      const line: Line = JSON.parse(text);
      if (line.kind === "result") return line;
      onTally(line);
    }
    if (done)
      throw new Error("The API went away before the end; what is done stays done. Do it again for the rest.");
  }
}

const AT_ONCE = 8;

/** What was ignored waits again, flow by flow; says how far that could be done. */
export async function takeBack({ operated, done }: BulkResult): Promise<string> {
  let back = 0;
  const left = operated.filter(({ tasks }) => tasks.length > 0);
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
  const rest = done - back;
  return rest === 0
    ? `Undone in ${counted(back, "flow")}`
    : `Undone in ${counted(back, "flow")}; ${counted(rest, "flow")} had gone on, or ended`;
}
