// Reruns or ignores all tasks that failed alike: says beforehand which these are, and what will happen to their flows.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { wordsOf } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { counted } from "../lib/counts.ts";
import { pathTo, shortId } from "../lib/paths.ts";
import { hrefOf } from "../lib/route.ts";
import type { ErrorGroup } from "../lib/types.ts";
import { Dialog } from "../ui/dialog.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import { TextField } from "../ui/text-field.tsx";
import { type BulkResult, runBulk, type Tally, takeBack } from "./run-bulk.ts";

const SHOWN = 5; // flows whose exact effect is told

interface Concerned {
  taskFlowId: string;
  taskId: string;
  tasks: number[];
}

interface Counted {
  matches: number;
  tasks?: number | null;
  flows?: Concerned[];
}

interface Effect {
  runs: number[];
  reopens: number[];
  passedOver: number[];
  cutOff: number[];
  ends: boolean;
}

interface Props {
  group: ErrorGroup;
  operation: "rerun" | "ignore";
  onClose: () => void;
  onDone: (words: string, undo: (() => Promise<string>) | null) => void;
}

export function FaultDialog({ group, operation, onClose, onDone }: Props) {
  const scope = useSignal("dependents");
  const reason = useSignal("");
  const told = useSignal<Counted | null>(null);
  const effects = useSignal<Record<string, Effect | string>>({});
  const problem = useSignal<string | null>(null);
  const tally = useSignal<Tally | null>(null);
  const ended = useSignal<BulkResult | null>(null);
  const { program, type, shape } = group;
  const body = {
    operation,
    filter: { fault: { program, type, shape } },
    ...(operation === "rerun" && scope.value !== "" && { scope: scope.value }),
  };
  const asked = JSON.stringify(body);
  useEffect(() => {
    let isOver = false;
    told.value = null;
    effects.value = {};
    const ask = async () => {
      try {
        const count = await act<Counted>("bulk", { ...body, dryRun: true });
        if (isOver) return;
        told.value = count;
        for (const flow of (count.flows ?? []).slice(0, SHOWN)) {
          const effect = await effectOn(flow, operation, scope.value);
          if (isOver) return;
          effects.value = { ...effects.value, [flow.taskFlowId]: effect };
        }
      } catch (error) {
        if (!isOver) problem.value = wordsOf(error);
      }
    };
    ask();
    return () => {
      isOver = true;
    };
  }, [asked]);
  const verb = operation === "rerun" ? "Rerun" : "Ignore";
  const run = async () => {
    problem.value = null;
    tally.value = { done: 0, refused: 0, of: told.value?.matches ?? 0 };
    try {
      const result = await runBulk({ ...body, reason: reason.value }, (now) => (tally.value = now));
      const undo = operation === "ignore" && result.done > 0 ? () => takeBack(result) : null;
      onDone(`${verb}: ${counted(result.done, "flow")} done, ${result.refused} refused`, undo);
      if (result.refused === 0 && result.ended === "finished") onClose();
      else ended.value = result;
    } catch (error) {
      problem.value = wordsOf(error);
    }
    tally.value = null;
  };
  const count = told.value;
  const title = `${verb} ${counted(count?.tasks ?? group.tasks, "failed task")}`;
  return (
    <Dialog title={title} onClose={onClose}>
      <p>
        <bdi>{type}</bdi> in <bdi>{program}</bdi>: <bdi class="muted">{shape}</bdi>
      </p>
      {ended.value === null ? (
        <>
          <div class="fields">
            {operation === "rerun" ? (
              <label>
                <span>What runs again</span>
                <select value={scope.value} onChange={(event) => (scope.value = event.currentTarget.value)}>
                  <option value="dependents">The tasks, and all behind them</option>
                  <option value="">The tasks, and what read their results</option>
                  <option value="only">The tasks alone</option>
                </select>
              </label>
            ) : (
              <TextField label="Why" text={reason} />
            )}
          </div>
          {count === null && problem.value === null && <p class="muted">Asking what it would do…</p>}
          {count !== null && <Told count={count} effects={effects.value} />}
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
            disabled={tally.value !== null || count === null || count.matches === 0}
          >
            {count === null ? verb : `${verb} in ${counted(count.matches, "flow")}`}
          </button>
        )}
      </div>
    </Dialog>
  );
}

function Told({ count, effects }: { count: Counted; effects: Record<string, Effect | string> }) {
  if (count.matches === 0) return <p class="muted">No task stands failed like that any more.</p>;
  const flows = (count.flows ?? []).slice(0, SHOWN);
  return (
    <ul class="effect">
      {flows.map((flow) => (
        <li key={flow.taskFlowId}>
          <a href={hrefOf(["flows", flow.taskFlowId], { task: flow.tasks[0] ?? null })}>
            <bdi>{flow.taskId}</bdi> {shortId(flow.taskFlowId)}
          </a>
          : {saidOf(effects[flow.taskFlowId])}
        </li>
      ))}
      {count.matches > flows.length && (
        <li>and the same in {counted(count.matches - flows.length, "more flow")}</li>
      )}
    </ul>
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

function saidOf(effect: Effect | string | undefined): string {
  if (effect === undefined) return "…";
  if (typeof effect === "string") return effect;
  const parts: [number, string][] = [
    [effect.runs.length, "will run again"],
    [effect.reopens.length, "will wait again"],
    [effect.passedOver.length, "will be passed over"],
    [effect.cutOff.length, "will be cut off"],
  ];
  const said = parts.filter(([many]) => many > 0).map(([many, words]) => `${counted(many, "task")} ${words}`);
  if (effect.ends) said.push("the flow ends");
  return said.join(", ") || "nothing";
}

async function effectOn(flow: Concerned, operation: string, scope: string): Promise<Effect | string> {
  const body = {
    tasks: flow.tasks,
    dryRun: true,
    ...(operation === "rerun" && scope !== "" && { scope }),
  };
  try {
    return (await act<{ effect: Effect }>(pathTo("flows", flow.taskFlowId, operation), body)).effect;
  } catch (error) {
    return wordsOf(error);
  }
}
