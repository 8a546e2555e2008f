// What is known of a flow as a whole: who began it and with what, what it gave, why it ends, where it belongs.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useAnswer } from "../lib/answers.ts";
import { shortId } from "../lib/paths.ts";
import { hrefOf } from "../lib/route.ts";
import { iso, moment } from "../lib/times.ts";
import type { FlowSummary } from "../lib/types.ts";
import { JsonView } from "../ui/json-view.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import type { LiveFlow } from "./live-flow.ts";
import { ResultView } from "./task-result.tsx";

interface FlowDetail extends FlowSummary {
  key: string | null;
  startTs: string | null;
  pausedBy: string | null;
  cancelledTs: string | null;
  cancelledBy: string | null;
  endingCause: string | null;
  endingUntilTs: string | null;
  forkedFrom: string | null;
  slotTs: string | null;
  scheduleUid: string | null;
  rounds: number;
  workflowVersion: string | null;
  parameters: Record<string, unknown> | null;
  result: unknown;
  resultBlob?: { sha256: string; bytes: number; store: string } | null;
  resultProblem?: string | null;
  unreadable?: string[];
  tasks: { taskExecSeq: number; workflowVersion: string | null }[];
}

const ENDING_CAUSES: Record<string, string> = {
  cancel: "it was cancelled",
  timeout: "it took too long",
  again: "another round of it was asked for",
};
const MOST_ROUNDS = 10_000; // of all loops of a flow

export function FlowFacts({ live }: { live: LiveFlow }) {
  const flow = live.flow.value;
  // What is told here changes with these alone; it is asked when somebody looks.
  const moved = `${flow?.status} ${flow?.pausedMs} ${flow?.cancelledMs} ${flow?.endingMs} ${flow?.finishedMs}`;
  const path = `flows/${encodeURIComponent(live.id)}`;
  const { value, problem, again } = useAnswer<FlowDetail>(path);
  useEffect(again, [moved]);
  return (
    // biome-ignore lint/a11y/useSemanticElements: it scrolls
    <div class="scroll flow-facts" role="region" aria-label="What is known of the flow" tabIndex={0}>
      <ProblemLine words={problem} />
      {value !== null && <Facts flow={value} live={live} />}
    </div>
  );
}

function Facts({ flow, live }: { flow: FlowDetail; live: LiveFlow }) {
  const others = otherVersions(flow);
  return (
    <>
      {flow.unreadable?.map((words) => (
        <ProblemLine key={words} words={`Not known: ${words}`} />
      ))}
      <dl class="facts">
        <Fact name="Flow">
          <code>{flow.taskFlowId}</code>
        </Fact>
        <Time name="Registered" at={flow.registeredTs} by={flow.registeredBy} />
        {flow.key !== null && (
          <Fact name="Key">
            <bdi>{flow.key}</bdi>
          </Fact>
        )}
        <Time name="Starts" at={flow.startTs} />
        <Time name="Started" at={flow.startedTs} />
        <Time name="Paused" at={flow.pausedTs} by={flow.pausedBy} />
        <Time name="Cancelled" at={flow.cancelledTs} by={flow.cancelledBy} />
        {flow.endingTs !== null && flow.finishedTs === null && (
          <Fact name="Ending">
            {ENDING_CAUSES[flow.endingCause ?? ""] ?? "it ends"}; its cleanup goes on
            {flow.endingUntilTs !== null && `, until ${moment(Date.parse(flow.endingUntilTs))} at most`}
          </Fact>
        )}
        <Time name="Ended" at={flow.finishedTs} />
        {flow.slotTs !== null && (
          <Fact name="Slot">
            {moment(Date.parse(flow.slotTs))} of schedule{" "}
            {flow.schedule === null ? (
              <code>{flow.scheduleUid}</code>
            ) : (
              <a href={hrefOf(["schedules", flow.schedule])}>
                <bdi>{flow.schedule}</bdi>
              </a>
            )}
          </Fact>
        )}
        {flow.parentFlowId && (
          <Fact name="Child of">
            <a href={hrefOf(["flows", flow.parentFlowId], { task: flow.parentTask ?? null })}>
              task {flow.parentTask} of {shortId(flow.parentFlowId)}
            </a>
            , attempt {flow.parentAttempt}
            {(flow.parentRound ?? 0) > 0 && `, round ${flow.parentRound}`}
          </Fact>
        )}
        {flow.forkedFrom !== null && (
          <Fact name="Forked from">
            <a href={hrefOf(["flows", flow.forkedFrom])}>{shortId(flow.forkedFrom)}</a>
          </Fact>
        )}
        {flow.rounds > 0 && (
          <Fact name="Loops">
            {flow.rounds.toLocaleString()} of at most {MOST_ROUNDS.toLocaleString()} rounds
          </Fact>
        )}
        {flow.workflowVersion !== null && (
          <Fact name="Version">
            <a href={hrefOf(["workflows", flow.taskId], { view: "versions" })}>
              <code>{flow.workflowVersion.slice(0, 12)}</code>
            </a>
            {[...others].map(([version, tasks]) => (
              <span key={version} class="block">
                <code>{version.slice(0, 12)}</code> for{" "}
                <bdi>{tasks.map((one) => live.name(one)).join(", ")}</bdi>, by a rerun
              </span>
            ))}
          </Fact>
        )}
      </dl>
      {flow.parameters !== null && Object.keys(flow.parameters).length > 0 && (
        <section>
          <h3>Parameters</h3>
          <JsonView value={flow.parameters} />
        </section>
      )}
      <Result flow={flow} />
    </>
  );
}

function Result({ flow }: { flow: FlowDetail }) {
  if (flow.resultProblem) return <ProblemLine words={`No result: ${flow.resultProblem}`} />;
  if (!flow.resultBlob && (flow.result === null || flow.result === undefined)) return null;
  return (
    <section>
      <h3>Result</h3>
      <ResultView result={flow.result} blob={flow.resultBlob ?? null} name={`${flow.taskFlowId}.json`} />
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Time({ name, at, by = null }: { name: string; at: string | null; by?: string | null }) {
  if (at === null) return null;
  const ms = Date.parse(at);
  return (
    <Fact name={name}>
      <span title={iso(ms)}>{moment(ms)}</span>
      {by !== null && (
        <>
          {" "}
          by <bdi>{by}</bdi>
        </>
      )}
    </Fact>
  );
}

/** By hash of a version that reruns gave tasks, which. */
function otherVersions({ tasks }: FlowDetail): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const { taskExecSeq, workflowVersion } of tasks) {
    if (workflowVersion === null) continue;
    found.set(workflowVersion, [...(found.get(workflowVersion) ?? []), taskExecSeq]);
  }
  return found;
}
