// Works off an operation on many flows, and tells how far it is: lines of JSON as they come.
import { problemOf, sendJson } from "../lib/api.ts";
import type { BulkResult } from "./bulk-types.ts";

export interface Tally {
  done: number;
  refused: number;
  of: number;
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
