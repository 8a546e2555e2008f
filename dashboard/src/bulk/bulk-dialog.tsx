// Does the same to many flows: says beforehand which these are and what will become of each, then how far it is.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { KeepAnswers } from "../flow/keep-answers-field.tsx";
import { wordsOf } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { counted } from "../lib/counts.ts";
import { shortId } from "../lib/paths.ts";
import { hrefOf } from "../lib/route.ts";
import { Dialog } from "../ui/dialog.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import { TextField } from "../ui/text-field.tsx";
import type { BulkFilter, BulkOperation, BulkResult, Concerned, Counted } from "./bulk-types.ts";
import { effectOf, effectOfAll } from "./effect-words.ts";
import { runBulk, type Tally } from "./run-bulk.ts";
import { undoOf } from "./undo-bulk.ts";

const FORETOLD = 100; // flows whose exact effect is asked for
const SHOWN = 5; // of these and of those that refuse: each told by itself
const SETTLE_MS = 250;
const VERBS: Record<BulkOperation, [string, string]> = {
  rerun: ["Rerun", "Rerun in"],
  resume: ["Resume", "Resume"],
  ignore: ["Ignore", "Ignore in"],
  cancel: ["Cancel", "Cancel"],
  pause: ["Pause", "Pause"],
  priority: ["Priority", "Change"],
};

interface Props {
  operation: BulkOperation;
  filter: BulkFilter;
  /** Of what will be done, by how many tasks and flows are meant; null: that is not known yet. */
  title: (told: Counted | null) => string;
  nothing: string;
  children?: ComponentChildren;
  onClose: () => void;
  onDone: (words: string, undo: (() => Promise<string>) | null) => void;
}

export function BulkDialog({ operation, filter, title, nothing, children, onClose, onDone }: Props) {
  const scope = useSignal("dependents");
  const keepsAnswers = useSignal(false);
  const priority = useSignal("0");
  const reason = useSignal("");
  const told = useSignal<Counted | null>(null);
  const problem = useSignal<string | null>(null);
  const tally = useSignal<Tally | null>(null);
  const ended = useSignal<BulkResult | null>(null);
  const number = Number(priority.value);
  const isRight = priority.value !== "" && Number.isInteger(number) && number >= -20 && number <= 19;
  const body = {
    operation,
    filter,
    ...(operation === "rerun" && scope.value !== "" && { scope: scope.value }),
    ...(operation === "rerun" && keepsAnswers.value && { keepAnswers: true }),
    ...(operation === "priority" && { priority: isRight ? number : 0 }),
  };
  const asked = JSON.stringify({ ...body, priority: null }); // whichever it is: it moves no task
  useEffect(() => {
    let isOver = false;
    const isFirst = told.peek() === null && problem.peek() === null;
    told.value = null;
    problem.value = null;
    const ask = () =>
      act<Counted>("bulk", { ...body, dryRun: true, foretell: FORETOLD }).then(
        (count) => {
          if (!isOver) told.value = count;
        },
        (error: unknown) => {
          if (!isOver) problem.value = wordsOf(error);
        },
      );
    const timer = setTimeout(ask, isFirst ? 0 : SETTLE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [asked]);
  const [verb, on] = VERBS[operation];
  const run = async () => {
    problem.value = null;
    tally.value = { done: 0, refused: 0, of: told.value?.matches ?? 0 };
    try {
      const said = reason.value === "" ? {} : { reason: reason.value };
      const result = await runBulk({ ...body, ...said }, (now) => (tally.value = now));
      onDone(
        `${verb}: ${counted(result.done, "flow")} done, ${result.refused} refused`,
        undoOf(operation, result),
      );
      if (result.refused === 0 && result.ended === "finished") onClose();
      else ended.value = result;
    } catch (error) {
      problem.value = wordsOf(error);
    }
    tally.value = null;
  };
  const count = told.value;
  return (
    <Dialog title={title(count)} onClose={onClose}>
      {children}
      {ended.value === null ? (
        <>
          <div class="fields">
            {operation === "rerun" && (
              <label>
                <span>What runs again</span>
                <select value={scope.value} onChange={(event) => (scope.value = event.currentTarget.value)}>
                  <option value="dependents">The tasks, and all behind them</option>
                  <option value="">The tasks, and what read their results</option>
                  <option value="changed">
                    The tasks, and of maps behind them what is new or has changed
                  </option>
                  <option value="only">The tasks alone</option>
                </select>
              </label>
            )}
            {operation === "rerun" && <KeepAnswers value={keepsAnswers} />}
            {operation === "priority" && (
              <label>
                <span>Priority, −20 (first) to 19</span>
                <input
                  type="number"
                  min={-20}
                  max={19}
                  value={priority.value}
                  onInput={(event) => (priority.value = event.currentTarget.value)}
                />
              </label>
            )}
            {["ignore", "cancel", "pause"].includes(operation) && <TextField label="Why" text={reason} />}
          </div>
          {count === null && problem.value === null && <p class="muted">Asking what it would do…</p>}
          {count !== null && <Told count={count} nothing={nothing} />}
        </>
      ) : (
        <Ended result={ended.value} />
      )}
      <div role="status">
        {tally.value !== null && (
          <p class="progress">
            <progress max={Math.max(1, tally.value.of)} value={tally.value.done + tally.value.refused} />
            {tally.value.done + tally.value.refused} of {tally.value.of}
          </p>
        )}
      </div>
      <ProblemLine words={problem.value} />
      <div class="choices">
        <button type="button" onClick={onClose}>
          {ended.value === null ? "Leave it" : "Close"}
        </button>
        {ended.value === null && (
          <button
            type="button"
            class="strong"
            onClick={run}
            disabled={tally.value !== null || count === null || !canDo(count) || !isRight}
          >
            {count === null ? verb : `${on} ${howMany(count)}`}
          </button>
        )}
      </div>
    </Dialog>
  );
}

/** Whether there is a flow that may not refuse. */
function canDo({ matches, flows = [] }: Counted): boolean {
  return matches > flows.length || flows.some(({ refusal }) => refusal === undefined);
}

function howMany({ matches, more, flows = [] }: Counted): string {
  const refuse = flows.filter(({ refusal }) => refusal !== undefined).length;
  const all = `${more ? "more than " : ""}${counted(matches, "flow")}`;
  return refuse === 0 ? all : `${matches - refuse} of ${all}`;
}

function Told({ count, nothing }: { count: Counted; nothing: string }) {
  if (count.matches === 0) return <p class="muted">{nothing}</p>;
  const flows = count.flows ?? [];
  const fit = flows.filter(({ refusal }) => refusal === undefined);
  const refusing = flows.filter(({ refusal }) => refusal !== undefined);
  const shown = [...fit.slice(0, SHOWN), ...refusing.slice(0, SHOWN)];
  const others = flows.length - shown.length;
  const unseen = count.matches - flows.length;
  return (
    <>
      {flows.length > 1 && <p class="effect-sum">In all: {effectOfAll(flows)}</p>}
      <ul class="effect">
        {shown.map((flow) => (
          <FlowEffect key={flow.taskFlowId} flow={flow} />
        ))}
        {others > 0 && <li>and {counted(others, "more flow")}, counted above</li>}
        {unseen > 0 && <li>and the same in {counted(unseen, "more flow")}, which were not looked at</li>}
      </ul>
    </>
  );
}

function FlowEffect({ flow }: { flow: Concerned }) {
  return (
    <li class={flow.refusal === undefined ? undefined : "refuses"}>
      <a href={hrefOf(["flows", flow.taskFlowId], { task: flow.tasks[0] ?? null })}>
        <bdi>{flow.taskId}</bdi> {shortId(flow.taskFlowId)}
      </a>
      : {effectOf(flow)}
    </li>
  );
}

function Ended({ result }: { result: BulkResult }) {
  return (
    <>
      <p>
        {counted(result.done, "flow")} done, {result.refused} refused
        {result.ended === "stopped" && "; it was stopped before the end"}:
      </p>
      <ul class="effect">
        {result.refusals.slice(0, 10).map(({ taskFlowId, detail }) => (
          <li key={taskFlowId}>{detail}</li>
        ))}
      </ul>
    </>
  );
}
