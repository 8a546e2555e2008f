// How tasks and flows stand, in words, colours and shapes: never by colour alone.
export type Stage =
  | "waiting"
  | "ready"
  | "retry"
  | "running"
  | "suspended"
  | "finished"
  | "ignored"
  | "paused";

export const STAGE_WORDS: Record<Stage, string> = {
  waiting: "waits for others",
  ready: "ready",
  retry: "waits for its retry",
  running: "running",
  suspended: "failed",
  finished: "finished",
  ignored: "passed over",
  paused: "paused",
};

/** Inside of 16 x 16. */
export const STAGE_PATHS: Record<Stage, string> = {
  waiting: "M8 3a5 5 0 1 0 0 10A5 5 0 1 0 8 3Z",
  ready: "M8 3a5 5 0 1 0 0 10A5 5 0 1 0 8 3ZM8 6.5v3M6.5 8h3",
  retry: "M12.5 8A4.5 4.5 0 1 1 10.8 4.5M11 2v3H8",
  running: "M5 3.5l7 4.5-7 4.5Z",
  suspended: "M4 4l8 8M12 4l-8 8",
  finished: "M3 8.5l3.5 3.5L13 4.5",
  ignored: "M3.5 8h9",
  paused: "M5.5 3.5v9M10.5 3.5v9",
};

export function stageOf(status: number, open: number, retryMs: number | null): Stage {
  if (status === 1) return "running";
  if (status === 2) return "suspended";
  if (status === 3) return "finished";
  if (status === 9) return "ignored";
  if (open > 0) return "waiting";
  return retryMs === null ? "ready" : "retry";
}

const OF_FLOWS: Record<string, Stage> = {
  Wait: "waiting",
  Running: "running",
  Suspend: "suspended",
  Finish: "finished",
  Ignore: "ignored",
};
const NUMBERS: Record<number, string> = { 0: "Wait", 1: "Running", 2: "Suspend", 3: "Finish", 9: "Ignore" };
const FLOW_WORDS: Record<string, string> = {
  Wait: "waiting",
  Running: "running",
  Suspend: "failed",
  Finish: "finished",
  Ignore: "cancelled",
};

export function statusWord(number: number): string {
  return NUMBERS[number] ?? "Wait";
}

export function stageOfFlow(word: string, isPaused: boolean): Stage {
  return isPaused && (word === "Wait" || word === "Running") ? "paused" : (OF_FLOWS[word] ?? "waiting");
}

export function wordOfFlow(word: string): string {
  return FLOW_WORDS[word] ?? word;
}
