// What the API tells of approvals and signals, as far as these screens read it.
import type { Schema } from "../schema/schema-fields.ts";

export interface Approval {
  taskFlowId: string;
  taskId: string;
  taskExecSeq: number;
  taskName: string | null;
  attempt: number;
  title: string | null;
  text: string | null;
  form: Schema | null;
  roles: string[];
  of: number;
  answeredBy: string[];
  notRegistrant: boolean;
  registeredBy: string;
  since: string;
  until: string | null;
  onTimeout: string;
  isPaused: boolean;
}

export interface ApprovalDetail extends Approval {
  shows: unknown;
  problems: string[];
  isAsked: boolean;
}

export interface KeptSignal {
  id: string;
  name: string;
  key: string;
  by: string;
  sent: string;
  until: string;
  first: boolean;
  taken: number;
}

export function titleOf(one: Approval): string {
  return one.title ?? `${one.taskName ?? one.taskExecSeq} of ${one.taskId}`;
}
