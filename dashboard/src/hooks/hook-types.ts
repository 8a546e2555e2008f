// What the API tells of hooks, as far as these screens read it.
export interface HookView {
  hook: string;
  taskId: string | null;
  occasions: string[];
  kind: string;
  target: string;
  secret: string | null;
  lateAfterSeconds: number | null;
  isPaused: boolean;
  reason: string;
  changedBy: string;
  waiting: number;
  givenUp: number;
  lastError: string;
  problems?: { detail: string }[];
}

export interface Delivery {
  id: string;
  occasion: string;
  taskFlowId: string | null;
  state: "delivered" | "given_up" | "waiting";
  attempts: number;
  createdTs: string;
  nextTs: string | null;
  lastTs: string | null;
  status: number | null;
  answer: string;
  error: string;
}

/** What a hook says, as it may be sent back. */
export function definitionOf(hook: HookView): Record<string, unknown> {
  const { taskId, occasions, kind, target, secret, lateAfterSeconds } = hook;
  const all = { taskId, occasions, kind, target, secret, lateAfterSeconds };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
}

/** How a hook stands, in a word. */
export function markOf(hook: HookView) {
  if ((hook.problems?.length ?? 0) > 0)
    return { stage: "suspended", word: "something is wrong with it" } as const;
  if (hook.isPaused) return { stage: "paused", word: "paused" } as const;
  return { stage: "running", word: "active" } as const;
}
