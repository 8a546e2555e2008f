// What the API tells of workflows, as far as these screens read it.
import type { Layout } from "../lib/types.ts";
import type { Schema } from "../schema/schema-fields.ts";

export interface WorkflowEntry {
  taskId: string;
  taskCount: number;
  problem?: string;
}

export interface TaskDocument {
  taskSeq: number;
  taskName?: string | null;
  program: string;
  queue?: string;
  dependsOn?: (number | string)[] | null;
  parameters?: Record<string, unknown>;
  rule?: string;
  onFailure?: string;
  retry?: { maxAttempts: number } | null;
  timeoutSeconds?: number | null;
  [more: string]: unknown;
}

export interface WorkflowDocument {
  taskId: string;
  tasks: TaskDocument[];
  parametersSchema?: Schema | null;
  description?: string | null;
  labels?: Record<string, string>;
}

export interface Difference {
  kind: "added" | "removed" | "changed";
  text: string;
}

export interface Version {
  number: number;
  hash: string;
  createdTs: string;
  createdBy: string | null;
  taskCount: number;
  isNewest: boolean;
}

export interface VersionDetail extends Version {
  definition: WorkflowDocument;
  layout?: Layout;
  differences?: Difference[];
}
