// What a task wrote last, under its error: who is called at night wants both at once.
import { useAnswer } from "../lib/answers.ts";
import { replaceQuery } from "../lib/route.ts";
import type { LogLine } from "../lib/types.ts";
import { LogLineView } from "./log-line.tsx";

const SHOWN = 8;

export function LastLines({ flow, task, attempt }: { flow: string; task: number; attempt: number }) {
  const path = `flows/${encodeURIComponent(flow)}/tasks/${task}/log?attempt=${attempt}&tail=${SHOWN}`;
  const { value } = useAnswer<{ lines: LogLine[] }>(path);
  if (value === null || value.lines.length === 0) return null;
  return (
    <section aria-label="Last lines of the log">
      <h3>
        Wrote last{" "}
        <button type="button" class="link" onClick={() => replaceQuery({ tab: "log" })}>
          Whole log
        </button>
      </h3>
      <div class="last-lines">
        {value.lines.map((one) => (
          <LogLineView key={one.number ?? one.text} line={one} />
        ))}
      </div>
    </section>
  );
}
