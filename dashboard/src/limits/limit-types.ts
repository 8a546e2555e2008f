// What the API tells of flow control, as far as these screens read it.
export interface LimitView {
  scope: "global" | "queue" | "workflow" | "program";
  name: string;
  maxRunning: number | null;
  limitBy: string | null;
  maxPerKey: number | null;
  maxFlows: number | null;
  atMaxFlows: string;
  countSuspended: boolean;
  rate: number | null;
  ratePeriodSeconds: number;
  fairBy: string | null;
  weight: number | null;
  isPaused: boolean;
  reason: string;
  changedBy: string;
  problem?: string;
  shares?: Record<string, Record<string, number>>;
}

export interface LimitUse {
  scope: string;
  name: string;
  key: string;
  running: number;
}

export interface Strike {
  id: string;
  program: string;
  parameter: string;
  value: string | number | boolean;
  reason: string;
  by: string;
}

/** The settings of a limit as they may be sent back. */
export function settingsOf(limit: LimitView): Record<string, unknown> {
  const {
    scope: _scope,
    name: _name,
    changedBy: _by,
    problem: _problem,
    shares: _shares,
    ...settings
  } = limit;
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== ""));
}
