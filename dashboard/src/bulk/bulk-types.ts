// What is asked of the API, and what it answers, where the same is done to many flows.
export type BulkOperation = "rerun" | "resume" | "ignore" | "cancel" | "pause" | "priority";

/** Which flows are meant, as the API takes it. */
export type BulkFilter = Record<string, unknown>;

/** How many tasks of a flow; as the effect of one operation names them. */
interface Effect {
  runs: number;
  reopens: number;
  askedAgain: number;
  passedOver: number;
  vanished: number;
  matched: number;
  cutOff: number;
  cleanup: number;
  heldUp: number;
  within: number;
  ends: boolean;
  elsewhere: number;
}

/** A flow that is concerned: what would become of it, or why it would be refused. */
export interface Concerned {
  taskFlowId: string;
  taskId: string;
  tasks: number[];
  did?: string;
  effect?: Effect;
  refusal?: string;
}

export interface Counted {
  matches: number;
  more: boolean;
  tasks?: number | null;
  flows?: Concerned[];
}

export interface Operated {
  taskFlowId: string;
  did: string;
  tasks: number[];
  priority: number | null;
}

export interface BulkResult {
  ended: "finished" | "stopped";
  done: number;
  refused: number;
  refusals: { taskFlowId: string; detail: string }[];
  /** The first flows for which it is done, with what it takes to undo that. */
  operated: Operated[];
}
