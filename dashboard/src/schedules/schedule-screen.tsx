// A schedule: what became of its slots, which come next, its definition, backfills.
import { useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { useAnswer } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { bindKeys } from "../lib/keys.ts";
import { pathTo } from "../lib/paths.ts";
import { go, hrefOf, replaceQuery, route, withQuery } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { AskDialog } from "../ui/ask-dialog.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import { leaveSaid, Said, useSaid } from "../ui/said.tsx";
import { StatusMark } from "../ui/status-mark.tsx";
import { TextField } from "../ui/text-field.tsx";
import { Backfills } from "./backfills.tsx";
import { ScheduleEditor } from "./schedule-editor.tsx";
import type { ScheduleView } from "./schedule-types.ts";
import { SCHEDULE_STAGES, whenOf } from "./schedule-words.ts";
import { SlotCalendar } from "./slot-calendar.tsx";

const REST_MS = 3_000;
const VIEWS: [string, string][] = [
  ["slots", "Slots"],
  ["edit", "Definition"],
  ["backfills", "Backfills"],
];

type Asked = "pause" | "resume" | "trigger" | "delete";

export function ScheduleScreen({ name }: { name: string }) {
  const path = pathTo("schedules", name);
  const { value: schedule, problem, again } = useAnswer<ScheduleView>(path, REST_MS);
  const view = VIEWS.find(([key]) => key === route.value.query.get("view"))?.[0] ?? "slots";
  const asked = useSignal<Asked | null>(null);
  const said = useSaid();
  const reason = useSignal("");
  const mayOperate = session.value?.mayOperate ?? false;
  const opposite: Asked = schedule?.isPaused ? "resume" : "pause";
  useLayoutEffect(() => {
    const turn = () => {
      const at = VIEWS.findIndex(([key]) => key === (route.value.query.get("view") ?? "slots"));
      const next = VIEWS[(at + 1) % VIEWS.length]?.[0] ?? "slots";
      replaceQuery({ view: next === "slots" ? null : next });
    };
    return bindKeys([
      { keys: "v", what: "slots, definition, backfills", run: turn },
      ...(mayOperate ? [{ keys: "p", what: opposite, run: () => (asked.value = opposite) }] : []),
    ]);
  }, [opposite, mayOperate, asked]);
  const run = async (what: "pause" | "resume", because: string) => {
    await act(`${path}/${what}`, { reason: because });
    again();
  };
  const confirm = async () => {
    if (asked.value === "trigger") {
      const { taskFlowId } = await act<{ taskFlowId: string }>(`${path}/trigger`, {});
      go(["flows", taskFlowId]);
    } else if (asked.value === "delete" && schedule !== null) {
      await act(`${path}?version=${schedule.version}`, undefined, "DELETE");
      const { definition, isPaused, reason: why } = schedule;
      leaveSaid({
        words: `Schedule ${name} is deleted`,
        undo: () => act(path, { ...definition, isPaused, reason: why }, "PUT"),
      });
      go(["schedules"]);
    } else if (asked.value === "pause" || asked.value === "resume") {
      const what = asked.value;
      await run(what, reason.value);
      const back = what === "pause" ? "resume" : "pause";
      said.value = {
        words: what === "pause" ? "Paused" : "It goes on",
        undo: () => run(back, ""),
      };
      reason.value = "";
    }
  };
  return (
    <div class="screen">
      <div class="bar flow-head">
        <h1>
          <a class="up" href={hrefOf(["schedules"])}>
            Schedules
          </a>
          {" / "}
          <bdi>{name}</bdi>
        </h1>
        <span class="segments">
          {VIEWS.map(([key, word]) => (
            <a
              key={key}
              href={withQuery({ view: key === "slots" ? null : key, day: null })}
              aria-current={key === view ? "true" : undefined}
            >
              {word}
            </a>
          ))}
        </span>
        {schedule !== null && <Facts schedule={schedule} />}
        <span class="grow" />
        {schedule !== null && mayOperate && (
          <span class="operations">
            <Said said={said} />
            <button type="button" onClick={() => (asked.value = "trigger")}>
              Start a flow now
            </button>
            <button type="button" onClick={() => (asked.value = opposite)}>
              {schedule.isPaused ? "Resume" : "Pause"}
            </button>
            <button type="button" onClick={() => (asked.value = "delete")}>
              Delete
            </button>
          </span>
        )}
      </div>
      <ProblemLine words={problem} />
      {schedule?.problems?.map(({ detail }) => (
        <ProblemLine key={detail} words={`It does not fire: ${detail}`} />
      ))}
      {schedule !== null && view === "slots" && <SlotCalendar schedule={schedule} />}
      {schedule !== null && view === "edit" && (
        <ScheduleEditor
          key={schedule.version}
          standing={schedule}
          workflows={[]}
          onDone={() => {
            said.value = { words: "Saved", undo: null };
            again();
          }}
        />
      )}
      {schedule !== null && view === "backfills" && <Backfills schedule={schedule} />}
      {asked.value !== null && (
        <AskDialog
          title={TITLES[asked.value]}
          verb={VERBS[asked.value]}
          run={confirm}
          onClose={() => (asked.value = null)}
        >
          <p>{SENTENCES[asked.value]}</p>
          {(asked.value === "pause" || asked.value === "resume") && (
            <div class="fields">
              <TextField label="Why" text={reason} />
            </div>
          )}
        </AskDialog>
      )}
    </div>
  );
}

const TITLES: Record<Asked, string> = {
  pause: "Pause the schedule",
  resume: "Resume the schedule",
  trigger: "Start a flow now",
  delete: "Delete the schedule",
};
const VERBS: Record<Asked, string> = { pause: "Pause", resume: "Resume", trigger: "Start", delete: "Delete" };
const SENTENCES: Record<Asked, string> = {
  pause: "Its slots are skipped until it is resumed; flows under way go on.",
  resume: "It fires from its next slot on; those that were skipped stay so.",
  trigger: "With its parameters, beside its slots: none of them is touched.",
  delete:
    "It fires no more; its flows go on. If that is undone, it is a new schedule: slots until then are not caught up on.",
};

function Facts({ schedule }: { schedule: ScheduleView }) {
  const { definition, state, reason } = schedule;
  return (
    <>
      <span class={`badge ${SCHEDULE_STAGES[state]}`}>
        <StatusMark stage={SCHEDULE_STAGES[state]} isNamed />
        {state}
        {schedule.isPaused && reason !== "" ? `: ${reason}` : ""}
      </span>
      <span class="muted">
        <a href={hrefOf(["workflows", schedule.taskId])}>
          <bdi>{schedule.taskId}</bdi>
        </a>
        , <bdi class="mono">{whenOf(definition)}</bdi> {definition.timezone ?? "UTC"}
      </span>
    </>
  );
}
