// Times for people: local, short, and durations in at most two units.
import { signal } from "@preact/signals";

/** Now, in ms; it moves once a second while the page is seen. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1_000);

export function msOf(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}

const UNITS: [string, number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
];

export function duration(ms: number): string {
  if (ms < 0) return "0 s";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  for (const [index, [unit, size]] of UNITS.entries()) {
    if (ms < size) continue;
    const next = UNITS[index + 1];
    const whole = Math.floor(ms / size);
    const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1]);
    return rest === 0 || next === undefined ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${next[0]}`;
  }
  return "0 s";
}

export function ago(ms: number, until: number): string {
  const seconds = Math.floor((until - ms) / 1_000);
  if (seconds < 5) return "now";
  return seconds < 60 ? `${seconds} s ago` : `${duration(seconds * 1_000)} ago`;
}

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

export function clock(ms: number): string {
  return TIME.format(ms);
}

/** Day and time, the day left out where it is today. */
export function moment(ms: number): string {
  const isToday = new Date(ms).toDateString() === new Date().toDateString();
  return isToday ? TIME.format(ms) : `${DAY.format(ms)} ${TIME.format(ms)}`;
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
