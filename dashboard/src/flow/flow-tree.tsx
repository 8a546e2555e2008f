// The tree that a flow is in: the flow at its top, and below each flow those that do tasks of it.
import { useAnswer } from "../lib/answers.ts";
import { shortId } from "../lib/paths.ts";
import { hrefOf } from "../lib/route.ts";
import { stageOfFlow, wordOfFlow } from "../lib/statuses.ts";
import type { FlowSummary } from "../lib/types.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { StatusMark } from "../ui/status-mark.tsx";
import type { LiveFlow } from "./live-flow.ts";

const REST_MS = 3_000;
const MOST = 1_000;

export function FlowTree({ live }: { live: LiveFlow }) {
  const plan = live.plan.value;
  const trunk = plan?.trunk ?? live.id;
  const path = `flows?limit=${MOST}&trunk=${encodeURIComponent(trunk)}`;
  const { value, problem } = useAnswer<{ flows: FlowSummary[]; next: string | null }>(path, REST_MS);
  const below = new Map<string, FlowSummary[]>();
  for (const one of [...(value?.flows ?? [])].reverse()) {
    const parent = one.parentFlowId ?? trunk;
    below.set(parent, [...(below.get(parent) ?? []), one]);
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: it scrolls
    <div class="scroll flow-tree" role="region" aria-label="Tree of flows" tabIndex={0}>
      <ProblemLine words={problem} />
      <ul>
        <li>
          <Trunk live={live} trunk={trunk} />
          <Below id={trunk} below={below} here={live.id} />
        </li>
      </ul>
      {value?.next && (
        <p class="muted note">
          These are the {MOST.toLocaleString()} that began last.{" "}
          <a href={hrefOf(["flows"], { trunk })}>All of them</a>
        </p>
      )}
    </div>
  );
}

function Trunk({ live, trunk }: { live: LiveFlow; trunk: string }) {
  if (trunk === live.id)
    return (
      <span class="tree-line here" aria-current="true">
        <bdi>{live.plan.value?.taskId}</bdi> <span class="mono muted">{shortId(trunk)}</span> this flow
      </span>
    );
  return (
    <span class="tree-line">
      <a href={hrefOf(["flows", trunk], { view: "tree" })}>
        the flow at the top <span class="mono">{shortId(trunk)}</span>
      </a>
    </span>
  );
}

function Below({ id, below, here }: { id: string; below: ReadonlyMap<string, FlowSummary[]>; here: string }) {
  const own = below.get(id);
  if (own === undefined) return null;
  return (
    <ul>
      {own.map((one) => {
        const hasEnded = one.finishedTs !== null;
        const isHere = one.taskFlowId === here;
        return (
          <li key={one.taskFlowId}>
            <span class={isHere ? "tree-line here" : "tree-line"} aria-current={isHere ? "true" : undefined}>
              <StatusMark stage={stageOfFlow(one.status, one.pausedTs !== null, hasEnded)} isNamed />
              <a href={hrefOf(["flows", one.taskFlowId], { view: "tree" })}>
                <bdi>{one.taskId}</bdi> <span class="mono">{shortId(one.taskFlowId)}</span>
              </a>
              <span class="muted">
                {wordOfFlow(one.status, hasEnded, one.endingTs !== null)}, {one.finished + one.ignored} of{" "}
                {one.taskCount} tasks{isHere && ", this flow"}
              </span>
            </span>
            <Below id={one.taskFlowId} below={below} here={here} />
          </li>
        );
      })}
    </ul>
  );
}
