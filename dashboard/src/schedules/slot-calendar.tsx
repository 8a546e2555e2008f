// What became of slots, day by day on the clock of the schedule's zone, as its ledger has it; and what comes next.
import { useMemo } from "preact/hooks";
import { useAnswer } from "../lib/answers.ts";
import { pathTo, shortId } from "../lib/paths.ts";
import { hrefOf, route, withQuery } from "../lib/route.ts";
import { duration, iso } from "../lib/times.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { StatusMark } from "../ui/status-mark.tsx";
import { PreviewList } from "./preview-list.tsx";
import type { Preview, ScheduleView, SlotFate } from "./schedule-types.ts";
import { clockIn, HERE, SLOT_STAGES } from "./schedule-words.ts";

const REST_MS = 5_000;
const WEEKS = 5;
const DAY_MS = 86_400_000;
const MOST = 1_000;
const STATES = ["fired", "skipped", "missed", "held"];
const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

export function SlotCalendar({ schedule }: { schedule: ScheduleView }) {
  const zone = schedule.definition.timezone ?? "UTC";
  const clock = useMemo(() => clockIn(zone), [zone]);
  const days = daysTo(route.value.query.get("until") ?? clock(Date.now()).day);
  const [first = "", last = ""] = [days[0], days.at(-1)];
  // A day more on each side, as days begin elsewhere at other moments.
  const since = iso(Date.parse(first) - DAY_MS);
  const until = iso(Date.parse(last) + 2 * DAY_MS);
  const path = `${pathTo("schedules", schedule.schedule, "slots")}?limit=${MOST}&since=${since}&until=${until}`;
  const { value, problem } = useAnswer<{ slots: SlotFate[]; next: string | null }>(path, REST_MS);
  const other = encodeURIComponent(HERE);
  const { value: preview } = useAnswer<Preview>(
    (schedule.problems?.length ?? 0) > 0
      ? null
      : `${pathTo("schedules", schedule.schedule, "preview")}?count=10&otherTimezone=${other}`,
    REST_MS,
  );
  const byDay = new Map<string, SlotFate[]>();
  for (const fate of value?.slots ?? []) {
    const { day } = clock(Date.parse(fate.slot));
    byDay.set(day, [...(byDay.get(day) ?? []), fate]);
  }
  const newest = [...days].reverse().find((day) => byDay.has(day));
  const chosen = route.value.query.get("day") ?? newest ?? last;
  return (
    <div class="editor">
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="scroll calendar-side" role="region" aria-label="What became of its slots" tabIndex={0}>
        <ProblemLine words={problem} />
        <div class="calendar-head">
          <a href={withQuery({ until: dayBefore(first), day: null })}>‹ Earlier</a>
          <span class="muted">
            {first} to {last}, {zone}
          </span>
          {route.value.query.has("until") ? (
            <a href={withQuery({ until: null, day: null })}>Now ›</a>
          ) : (
            <span />
          )}
        </div>
        <div class="calendar">
          {WEEKDAYS.map((word) => (
            <span key={word} class="weekday">
              {word}
            </span>
          ))}
          {days.map((day) => (
            <Day key={day} day={day} fates={byDay.get(day) ?? []} isChosen={day === chosen} />
          ))}
        </div>
        {value?.next && <p class="muted calendar-note">Only the latest {MOST} entries are shown.</p>}
        <Slots fates={byDay.get(chosen) ?? []} day={chosen} clock={clock} />
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="beside" role="region" aria-label="Its next slots" tabIndex={0}>
        <h2>{schedule.isPaused ? "Its next slots, were it not paused" : "Its next slots"}</h2>
        {preview !== null && <PreviewList preview={preview} />}
      </div>
    </div>
  );
}

function Day({ day, fates, isChosen }: { day: string; fates: SlotFate[]; isChosen: boolean }) {
  const counts = STATES.map((state): [string, number] => [
    state,
    fates.filter((one) => one.state === state).reduce((sum, one) => sum + one.count, 0),
  ]).filter(([, count]) => count > 0);
  const told = counts.map(([state, count]) => `${count} ${state}`).join(", ");
  return (
    <a class="day" href={withQuery({ day })} aria-current={isChosen ? "date" : undefined}>
      <span class="muted">{Number(day.slice(8))}</span>
      <span class="hidden">
        {day}: {told === "" ? "no slot" : told}
      </span>
      <span class="day-states" aria-hidden="true">
        {counts.map(([state, count]) => (
          <span key={state} class="day-state">
            <StatusMark stage={SLOT_STAGES[state] ?? "waiting"} isNamed />
            {count}
          </span>
        ))}
      </span>
    </a>
  );
}

interface SlotsProps {
  fates: SlotFate[];
  day: string;
  clock: (ms: number) => { day: string; time: string };
}

function Slots({ fates, day, clock }: SlotsProps) {
  if (fates.length === 0) return <p class="muted calendar-note">No slot of {day} has a fate.</p>;
  return (
    <table class="rows">
      <thead>
        <tr>
          <th class="w-slot">Slot of {day}</th>
          <th class="w-m">Became</th>
          <th class="w-flow">Flow</th>
          <th class="roomy">Why</th>
        </tr>
      </thead>
      <tbody>
        {fates.map((one) => (
          <tr key={`${one.slot} ${one.backfill}`}>
            <td title={iso(Date.parse(one.slot))}>
              {clock(Date.parse(one.slot)).time}
              {one.count > 1 && <span class="muted"> and {one.count - 1} more</span>}
            </td>
            <td>
              <StatusMark stage={SLOT_STAGES[one.state] ?? "waiting"} isNamed /> {one.state}
              <bdi class="cramped muted">{one.reason}</bdi>
            </td>
            <td class="mono">
              {one.flow !== "" && <a href={hrefOf(["flows", one.flow])}>{shortId(one.flow)}</a>}
            </td>
            <td class="whole roomy">
              <bdi>{[one.reason, one.detail].filter(Boolean).join(": ")}</bdi>
              {one.state === "fired" && one.lateMs > 1_000 && (
                <span class="muted"> {duration(one.lateMs)} late</span>
              )}
              {one.backfill !== "" && <span class="muted"> by a backfill</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The days of the weeks up to the one that this day is in. */
function daysTo(day: string): string[] {
  const end = Number.isNaN(Date.parse(day)) ? Date.now() : Date.parse(day);
  const weekday = (new Date(end).getUTCDay() + 6) % 7;
  const first = end - (weekday + 7 * (WEEKS - 1)) * DAY_MS;
  return Array.from({ length: 7 * WEEKS }, (_, index) => dayOf(first + index * DAY_MS));
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function dayBefore(day: string): string {
  return dayOf(Date.parse(day) - DAY_MS);
}
