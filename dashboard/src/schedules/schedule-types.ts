// What the API tells of schedules, as far as these screens read it.
export interface ScheduleDefinition {
  schedule: string;
  taskId: string;
  cron?: string | null;
  everySeconds?: number | null;
  at?: string | null;
  timezone?: string;
  [more: string]: unknown;
}

export interface ScheduleView {
  schedule: string;
  taskId: string;
  state: "active" | "finished" | "paused" | "problem";
  version: number;
  isPaused: boolean;
  reason: string;
  definition: ScheduleDefinition;
  next: string[];
  lastSlot: string | null;
  lastFlow: string | null;
  fired: number;
  skipped: number;
  missed: number;
  failures: number;
  changedBy: string;
  problems?: { detail: string; pointer: string }[];
  warnings?: string[];
}

export interface PreviewedSlot {
  slot: string;
  dueTs: string;
  local: string;
  other: string;
  shift?: string | null;
}

export interface Preview {
  timezone: string;
  otherTimezone: string;
  slots: PreviewedSlot[];
}

export interface SlotFate {
  slot: string;
  until: string;
  count: number;
  state: string;
  reason: string;
  detail: string;
  flow: string;
  lateMs: number;
  backfill: string;
}

export interface Backfill {
  id: string;
  from: string;
  to: string;
  which: string;
  state: string;
  reason: string;
  createdTs: string;
  createdBy: string;
  total: number;
  waiting: number;
  running: number;
  ended: number;
  failed: number;
  refused: number;
  problem?: string;
  slots?: { slot: string; action: "fire" | "rerun" }[];
}
