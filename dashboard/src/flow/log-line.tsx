import type { LogLine } from "../lib/types.ts";

/** A line of a log: when, and what was written; errors and warnings in their colours. */
export function LogLineView({ line, withAttempt = false }: { line: LogLine; withAttempt?: boolean }) {
  const { level } = line;
  const kind = line.stream === "engine" ? "engine" : level >= 40 ? "bad" : level >= 30 ? "warn" : "";
  return (
    <div class={`line ${kind}`}>
      {withAttempt && <span class="muted">{line.attempt} </span>}
      <span class="muted">{line.ts?.slice(11, 23) ?? ""} </span>
      <span>{line.text}</span>
    </div>
  );
}
