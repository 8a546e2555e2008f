// Backfills of a schedule: how far each is; a new one says beforehand which slots it is about.
import { type Signal, useSignal } from "@preact/signals";
import { useAnswer } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { counted } from "../lib/counts.ts";
import { pathTo } from "../lib/paths.ts";
import { session } from "../lib/session.ts";
import { iso, moment } from "../lib/times.ts";
import { AskDialog } from "../ui/ask-dialog.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import { Said, type SaidWords, useSaid } from "../ui/said.tsx";
import { NewBackfill } from "./new-backfill.tsx";
import type { Backfill, ScheduleView } from "./schedule-types.ts";

const REST_MS = 1_500;

export function Backfills({ schedule }: { schedule: ScheduleView }) {
  const path = pathTo("schedules", schedule.schedule, "backfills");
  const { value, problem, again } = useAnswer<{ backfills: Backfill[] }>(path, REST_MS);
  const said = useSaid();
  const isAsked = useSignal(false);
  const backfills = value?.backfills ?? [];
  return (
    <>
      <div class="bar">
        <span class="muted">A backfill gives slots of the past their flow after all, or runs it again.</span>
        <span class="grow" />
        <Said said={said} />
        {session.value?.mayOperate && (
          <button type="button" onClick={() => (isAsked.value = true)}>
            New backfill
          </button>
        )}
      </div>
      <ProblemLine words={problem} />
      {value !== null && backfills.length === 0 && (
        <div class="empty">
          <p>No backfill of this schedule was made so far.</p>
        </div>
      )}
      {backfills.length > 0 && (
        // biome-ignore lint/a11y/useSemanticElements: it scrolls
        <div class="scroll" role="region" aria-label="Backfills" tabIndex={0}>
          <table class="rows backfills">
            <thead>
              <tr>
                <th>Slots</th>
                <th class="w-p">How far</th>
                <th class="w-m">State</th>
                <th class="w-p wide">Made</th>
                <th class="w-l">
                  <span class="hidden">What can be done</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {backfills.map((one) => (
                <Line key={one.id} backfill={one} said={said} onDone={again} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {isAsked.value && (
        <NewBackfill
          path={path}
          onClose={() => (isAsked.value = false)}
          onDone={(made) => {
            said.value = { words: `A backfill of ${counted(made.total, "slot")} is under way`, undo: null };
            again();
          }}
        />
      )}
    </>
  );
}

interface LineProps {
  backfill: Backfill;
  said: Signal<SaidWords | null>;
  onDone: () => void;
}

function Line({ backfill: one, said, onDone }: LineProps) {
  const isCancelAsked = useSignal(false);
  const done = one.ended + one.failed + one.refused;
  const run = async (what: "pause" | "resume" | "cancel") => {
    await act(pathTo("backfills", one.id, what), {});
    onDone();
  };
  const turn = async (what: "pause" | "resume") => {
    const back = what === "pause" ? "resume" : "pause";
    try {
      await run(what);
      said.value = { words: what === "pause" ? "Paused" : "It goes on", undo: () => run(back) };
    } catch (error) {
      said.value = { words: error instanceof Error ? error.message : String(error), undo: null };
    }
  };
  const isOpen = one.state === "open" || one.state === "paused";
  return (
    <tr>
      <td title={`${one.from} to ${one.to}`}>
        {moment(Date.parse(one.from))} to {moment(Date.parse(one.to))}{" "}
        <span class="muted">{WHICH[one.which]}</span>
      </td>
      <td title={toldOf(one)}>
        <progress max={Math.max(1, one.total)} value={done} aria-label="How far it is" /> {done}/{one.total}
        {one.failed + one.refused > 0 && <span class="wrong"> {one.failed + one.refused} failed</span>}
      </td>
      <td class={one.problem ? "wrong" : undefined} title={one.problem}>
        {one.state}
      </td>
      <td class="wide" title={iso(Date.parse(one.createdTs))}>
        {moment(Date.parse(one.createdTs))} <bdi class="muted">{one.createdBy}</bdi>
      </td>
      <td class="links-cell">
        {isOpen && session.value?.mayOperate && (
          <>
            <button
              type="button"
              class="link"
              onClick={() => turn(one.state === "open" ? "pause" : "resume")}
            >
              {one.state === "open" ? "Pause" : "Resume"}
            </button>
            <button type="button" class="link" onClick={() => (isCancelAsked.value = true)}>
              Cancel
            </button>
          </>
        )}
        {isCancelAsked.value && (
          <AskDialog
            title="Cancel the backfill"
            verb="Cancel it"
            run={() => run("cancel")}
            onClose={() => (isCancelAsked.value = false)}
          >
            <p>{counted(one.waiting, "slot")} stay without a flow; flows under way go on.</p>
          </AskDialog>
        )}
      </td>
    </tr>
  );
}

const WHICH: Record<string, string> = {
  missed: "without a flow",
  failed: "whose flow failed",
  all: "all",
};

function toldOf(one: Backfill): string {
  const counts: [number, string][] = [
    [one.ended, "ended"],
    [one.running, "running"],
    [one.waiting, "waiting"],
    [one.failed, "failed"],
    [one.refused, "refused"],
  ];
  return counts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(", ");
}
