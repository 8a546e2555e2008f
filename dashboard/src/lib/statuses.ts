// How tasks and flows stand, in words, colours and shapes: never by colour alone.
export type Stage =
  | "waiting"
  | "ready"
  | "retry"
  | "awaiting"
  | "running"
  | "suspended"
  | "givenup"
  | "finished"
  | "ignored"
  | "nottaken"
  | "cancelled"
  | "vanished"
  | "ending"
  | "paused";

export const STAGE_WORDS: Record<Stage, string> = {
  waiting: "waits for others",
  ready: "ready",
  retry: "waits for its retry",
  awaiting: "waits for the world",
  running: "running",
  suspended: "failed",
  givenup: "failed, given up",
  finished: "finished",
  ignored: "passed over",
  nottaken: "not taken",
  cancelled: "cut off",
  vanished: "vanished",
  ending: "ending",
  paused: "paused",
};

/** Inside of 16 x 16. */
export const STAGE_PATHS: Record<Stage, string> = {
  waiting: "M8 3a5 5 0 1 0 0 10A5 5 0 1 0 8 3Z",
  ready: "M8 3a5 5 0 1 0 0 10A5 5 0 1 0 8 3ZM8 6.5v3M6.5 8h3",
  awaiting: "M4.5 3h7M4.5 13h7M5.5 3c0 3 5 4 5 5s-5 2-5 5M10.5 3c0 3-5 4-5 5s5 2 5 5",
  retry: "M12.5 8A4.5 4.5 0 1 1 10.8 4.5M11 2v3H8",
  running: "M5 3.5l7 4.5-7 4.5Z",
  suspended: "M4 4l8 8M12 4l-8 8",
  givenup: "M4 4l8 8M12 4l-8 8M2.5 14h11",
  finished: "M3 8.5l3.5 3.5L13 4.5",
  ignored: "M3.5 8h9",
  nottaken: "M3 4c4 0 4 8 9 8M9.5 9.5L12.5 12 9.5 14.5",
  cancelled: "M3.5 8h9M8 3.5v9M4.5 4.5l7 7",
  vanished: "M3.5 8h2M7 8h2M10.5 8h2",
  ending: "M3 5h10M4.5 5l1 8.5h5l1-8.5M6.5 2.5h3",
  paused: "M5.5 3.5v9M10.5 3.5v9",
};

const ENDS: Record<string, Stage> = {
  p: "ignored",
  n: "nottaken",
  w: "nottaken",
  u: "nottaken",
  c: "cancelled",
  x: "givenup",
  v: "vanished",
};

export interface Standing {
  status: number;
  open: number;
  retryMs: number | null;
  againMs: number | null;
  endedAs: string;
  awaiting: string | null;
}

export function stageOf({ status, open, retryMs, againMs, endedAs, awaiting }: Standing): Stage {
  if (status === 1) return "running";
  if (status === 3) return "finished";
  if (status === 2) return ENDS[endedAs] ?? "suspended";
  if (status === 9) return ENDS[endedAs] ?? "ignored";
  if (open > 0) return "waiting";
  if (awaiting !== null || againMs !== null) return "awaiting";
  return retryMs === null ? "ready" : "retry";
}

const OF_FLOWS: Record<string, Stage> = {
  Wait: "waiting",
  Running: "running",
  Suspend: "suspended",
  Finish: "finished",
  Ignore: "cancelled",
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

export function stageOfFlow(word: string, isPaused: boolean, hasEnded = false): Stage {
  if (word === "Suspend" && hasEnded) return "givenup";
  return isPaused && (word === "Wait" || word === "Running") ? "paused" : (OF_FLOWS[word] ?? "waiting");
}

/** ``hasEnded``: of a flow that went on without tasks that failed, and is over; ``isEnding``: its cleanup goes on. */
export function wordOfFlow(word: string, hasEnded = false, isEnding = false): string {
  if (word === "Suspend" && hasEnded) return "ended, failed";
  if (isEnding && !hasEnded) return word === "Suspend" ? "ending, failed" : "ending";
  return FLOW_WORDS[word] ?? word;
}
