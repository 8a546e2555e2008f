// Schedules in words: when they fire, how they and their slots stand.
import type { Stage } from "../lib/statuses.ts";
import { duration } from "../lib/times.ts";
import type { ScheduleDefinition, ScheduleView } from "./schedule-types.ts";

/** The zone of whoever looks: the other clock of previews. */
export const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function whenOf({ cron, everySeconds, at }: ScheduleDefinition): string {
  if (cron) return cron;
  if (everySeconds) return `every ${duration(1_000 * everySeconds)}`;
  return at ? `once, ${at}` : "";
}

export const SCHEDULE_STAGES: Record<ScheduleView["state"], Stage> = {
  active: "running",
  paused: "paused",
  finished: "finished",
  problem: "suspended",
};

export const SLOT_STAGES: Record<string, Stage> = {
  fired: "finished",
  skipped: "ignored",
  missed: "suspended",
  held: "waiting",
};

/** The day (YYYY-MM-DD) and the time of a moment on the clock of a zone; UTC where the browser does not know it. */
export function clockIn(zone: string): (ms: number) => { day: string; time: string } {
  const options = { dateStyle: "short", timeStyle: "medium" } as const;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: zone });
  } catch {
    format = new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: "UTC" });
  }
  return (ms) => {
    const [day = "", time = ""] = format.format(ms).split(" ");
    return { day, time };
  };
}
