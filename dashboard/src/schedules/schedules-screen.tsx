// All schedules by name, or one of them, or a new one.
import { useAnswer, usePages } from "../lib/answers.ts";
import { counted } from "../lib/counts.ts";
import { go, hrefOf, route } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { iso, moment } from "../lib/times.ts";
import { useLineKeys } from "../ui/line-keys.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { Said, useSaid } from "../ui/said.tsx";
import { StatusMark } from "../ui/status-mark.tsx";
import { ScheduleEditor } from "./schedule-editor.tsx";
import { ScheduleScreen } from "./schedule-screen.tsx";
import type { ScheduleView } from "./schedule-types.ts";
import { SCHEDULE_STAGES, whenOf } from "./schedule-words.ts";

const REST_MS = 5_000;

export function SchedulesScreen() {
  const name = route.value.path[1];
  if (name !== undefined) return <ScheduleScreen key={name} name={name} />;
  return route.value.query.get("view") === "new" ? <NewSchedule /> : <AllSchedules />;
}

function NewSchedule() {
  const { value } = useAnswer<{ workflows: { taskId: string }[] }>("workflows?limit=1000");
  return (
    <div class="screen">
      <div class="bar">
        <h1>
          <a class="up" href={hrefOf(["schedules"])}>
            Schedules
          </a>{" "}
          / new
        </h1>
      </div>
      <ScheduleEditor
        standing={null}
        workflows={value?.workflows.map(({ taskId }) => taskId) ?? []}
        onDone={(saved) => go(["schedules", saved.schedule])}
      />
    </div>
  );
}

function AllSchedules() {
  const { items, problem, more } = usePages<ScheduleView>("schedules?limit=200", "schedules", REST_MS);
  const said = useSaid();
  const names = (items ?? []).map(({ schedule }) => schedule);
  const chosen = useLineKeys("schedule", names, (name) => go(["schedules", name]));
  return (
    <div class="screen">
      <div class="bar">
        <h1>Schedules</h1>
        {items !== null && <span class="muted">{counted(items.length, "schedule")}</span>}
        <span class="grow" />
        <Said said={said} />
        {session.value?.mayOperate && (
          <a class="button" href={hrefOf(["schedules"], { view: "new" })}>
            New schedule
          </a>
        )}
      </div>
      <ProblemLine words={problem} />
      {items?.length === 0 && <NoSchedule />}
      {items !== null && items.length > 0 && (
        // biome-ignore lint/a11y/useSemanticElements: it scrolls
        <div class="scroll" role="region" aria-label="Schedules" tabIndex={0}>
          <table class="rows">
            <thead>
              <tr>
                <th class="w-mark">
                  <span class="hidden">State</span>
                </th>
                <th>Schedule</th>
                <th class="w-p roomy">Workflow</th>
                <th class="w-x wide">When</th>
                <th class="w-when">Next slot</th>
                <th class="w-l roomy">Fired · skipped · missed</th>
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <Line key={one.schedule} schedule={one} isChosen={one.schedule === chosen} />
              ))}
            </tbody>
          </table>
          {more !== null && (
            <p class="more">
              <button type="button" onClick={more}>
                Show more schedules
              </button>
            </p>
          )}
        </div>
      )}
    </div>
  );
}

function Line({ schedule: one, isChosen }: { schedule: ScheduleView; isChosen: boolean }) {
  const next = one.next[0];
  return (
    <tr class={isChosen ? "chosen" : undefined} aria-selected={isChosen}>
      <td>
        <StatusMark stage={SCHEDULE_STAGES[one.state]} word={one.state} />
      </td>
      <td class="name">
        <a href={hrefOf(["schedules", one.schedule])}>
          <bdi>{one.schedule}</bdi>
        </a>
      </td>
      <td class="roomy">
        <a href={hrefOf(["workflows", one.taskId])}>
          <bdi>{one.taskId}</bdi>
        </a>
      </td>
      <td class="wide" title={`${whenOf(one.definition)} ${one.definition.timezone ?? "UTC"}`}>
        <bdi class="mono">{whenOf(one.definition)}</bdi>{" "}
        <span class="muted">{one.definition.timezone ?? "UTC"}</span>
      </td>
      <td title={next === undefined ? undefined : iso(Date.parse(next))}>
        {one.isPaused ? (
          <span class="muted">paused</span>
        ) : next === undefined ? (
          <span class="muted">none</span>
        ) : (
          moment(Date.parse(next))
        )}
      </td>
      <td class="roomy">
        {one.fired} · {one.skipped} · <span class={one.missed > 0 ? "wrong" : undefined}>{one.missed}</span>
      </td>
    </tr>
  );
}

function NoSchedule() {
  return (
    <div class="empty beginning">
      <h2>No schedule yet</h2>
      <p>A schedule registers a flow of a workflow at each of its slots, and keeps what became of each:</p>
      <pre>{`flower schedules add nightly hello --cron "0 3 * * 1-5" --timezone Europe/Berlin`}</pre>
      {session.value?.mayOperate && (
        <p>
          <a href={hrefOf(["schedules"], { view: "new" })}>Write one here</a>, and see its next slots while
          you do.
        </p>
      )}
    </div>
  );
}
