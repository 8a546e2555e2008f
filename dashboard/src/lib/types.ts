// What the API sends, as far as the dashboard reads it.
export interface FlowSummary {
  taskFlowId: string;
  taskId: string;
  status: StatusWord;
  version: number;
  taskCount: number;
  waiting: number;
  running: number;
  suspended: number;
  finished: number;
  ignored: number;
  registeredTs: string;
  startedTs: string | null;
  finishedTs: string | null;
  pausedTs: string | null;
  endingTs: string | null;
  registeredBy: string | null;
  schedule: string | null;
  parentFlowId?: string | null;
  parentTask?: number | null;
  parentAttempt?: number | null;
  parentRound?: number;
  trunkFlowId?: string | null;
}

export type StatusWord = "Wait" | "Running" | "Suspend" | "Finish" | "Ignore";

export interface FlowsPage {
  flows: FlowSummary[];
  next: string | null;
  warnings?: string[];
}

export interface FlowPlan {
  taskFlowId: string;
  taskId: string;
  registeredMs: number;
  startMs: number | null;
  workflowVersion: string | null;
  names: (string | null)[];
  programs: string[];
  queues: string[];
  dependsOn: number[][];
  rules: string[];
  onFailure: string[];
  /** Of an item its map, else 0; empty: there are no items. */
  itemOf?: number[];
  itemIndex?: number[];
  /** "": it has none; empty: none has one. */
  itemKeys?: string[];
  parent?: string | null;
  parentTask?: number | null;
  trunk?: string | null;
}

export interface FlowRow {
  status: number;
  version: number;
  waiting: number;
  running: number;
  suspended: number;
  givenUp: number;
  finished: number;
  ignored: number;
  startedMs: number | null;
  finishedMs: number | null;
  suspendedMs: number | null;
  pausedMs: number | null;
  pausedBy: string | null;
  cancelledMs: number | null;
  endingMs: number | null;
  cancelledBy: string | null;
}

export interface TaskRow {
  task: number;
  status: number;
  open: number;
  attempt: number;
  lost: number;
  failures: number;
  startedMs: number | null;
  finishedMs: number | null;
  suspendedMs: number | null;
  retryMs: number | null;
  worker: string | null;
  error: string | null;
  message: string | null;
  fraction: number | null;
  note: string | null;
  ignoredBy: string | null;
  ignoreReason: string | null;
  priority: number;
  endedAs: string;
  givesUpMs: number | null;
  awaiting: string | null;
  untilMs: number | null;
  answered: number;
  againMs: number | null;
  round: number;
}

export interface TaskError {
  type: string;
  message: string;
  traceback?: string;
}

export interface Attempt {
  attempt: number;
  worker: string;
  startedTs: string;
  endedTs: string | null;
  how: string;
  error: TaskError | null;
  round: number | null;
}

export interface WaitReason {
  reason: string;
  [more: string]: unknown;
}

export interface TaskDetail {
  taskExecSeq: number;
  taskSeq: number;
  workflowVersion: string | null;
  taskName: string | null;
  program: string;
  queue: string;
  status: StatusWord;
  dependsOn: number[];
  waitReason: WaitReason | null;
  attempt: number;
  round: number;
  given: unknown;
  maxRounds: number;
  worker: string | null;
  parameters: unknown;
  result: unknown;
  blob: { sha256: string; bytes: number; store: string } | null;
  error: TaskError | null;
  attempts: Attempt[];
  ignoredBy: string | null;
  ignoreReason: string | null;
  takenFrom: number | null;
  hasStandIn: boolean;
  rule: string;
  onFailure: string;
  finally?: boolean;
  whenIs?: [number, unknown] | null;
  notTaken: NotTaken | null;
  endedAs?: string | null;
  notNeededBy?: number[] | null;
}

export interface NotTaken {
  rule: string;
  because: string;
  dependsOn: number[];
  count: number;
  ends: Record<string, number>;
  needed: number | null;
  decision: string | null;
}

export interface LogLine {
  attempt: number;
  number: number | null;
  ts: string | null;
  stream: string;
  level: number;
  text: string;
}

export interface Layout {
  layers: number;
  layer: number[];
  row: number[];
  edges: number[];
  laneTask: number[];
  laneFrom: number[];
  laneRow: number[];
}

export interface ErrorGroup {
  program: string;
  type: string;
  shape: string;
  tasks: number;
  firstTs: string;
  lastTs: string;
  message: string;
  taskFlowId: string;
  taskExecSeq: number;
  workflows: string[];
}

export interface ErrorGroups {
  groups: ErrorGroup[];
  isAll: boolean;
}
