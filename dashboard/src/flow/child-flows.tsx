// The flow that does a task, as it stands; those of earlier attempts below it.
import { useAnswer } from "../lib/answers.ts";
import { shortId } from "../lib/paths.ts";
import { hrefOf } from "../lib/route.ts";
import { stageOfFlow, wordOfFlow } from "../lib/statuses.ts";
import type { FlowSummary } from "../lib/types.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { StatusMark } from "../ui/status-mark.tsx";
import type { ShownFlow } from "./shown-flow.ts";

const REST_MS = 3_000;

export function ChildFlows({ live, task }: { live: ShownFlow; task: number }) {
  const path = `flows?limit=1000&parent=${encodeURIComponent(live.id)}`;
  const { value, problem } = useAnswer<{ flows: FlowSummary[] }>(path, REST_MS);
  const own = (value?.flows ?? [])
    .filter((one) => one.parentTask === task)
    .sort((one, other) => (other.parentAttempt ?? 0) - (one.parentAttempt ?? 0));
  return (
    <section aria-label="Sub-flow">
      <h3>Done by</h3>
      <ProblemLine words={problem} />
      {value !== null && own.length === 0 && <p class="muted">Its sub-flow has not begun.</p>}
      {own.map((one) => (
        <ChildLine key={one.taskFlowId} flow={one} isOld={one !== own[0]} />
      ))}
    </section>
  );
}

function ChildLine({ flow: one, isOld }: { flow: FlowSummary; isOld: boolean }) {
  const hasEnded = one.finishedTs !== null;
  const done = one.finished + one.ignored;
  return (
    <p class="child-line">
      <StatusMark stage={stageOfFlow(one.status, one.pausedTs !== null, hasEnded)} isNamed />
      <a href={hrefOf(["flows", one.taskFlowId])}>
        <bdi>{one.taskId}</bdi> <span class="mono">{shortId(one.taskFlowId)}</span>
      </a>
      <span class="muted">
        {wordOfFlow(one.status, hasEnded, one.endingTs !== null)}, {done} of {one.taskCount} tasks
        {(one.parentRound ?? 0) > 0 && `, round ${one.parentRound}`}
        {isOld && `, attempt ${one.parentAttempt}`}
      </span>
    </p>
  );
}
