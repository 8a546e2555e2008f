import { shortId } from "../lib/paths.ts";
import { hrefOf, route, withQuery } from "../lib/route.ts";
import { type Stage, stageOfFlow, statusWord, wordOfFlow } from "../lib/statuses.ts";
import { duration, iso, moment, now } from "../lib/times.ts";
import { StatusMark } from "../ui/status-mark.tsx";
import { COUNTED, wordOfCount } from "./chosen-tasks.ts";
import type { LiveFlow } from "./live-flow.ts";
import { Operations } from "./operations.tsx";
import type { PastFlow } from "./past-flow.ts";
import type { ShownFlow } from "./shown-flow.ts";
import { type ViewName, viewsOf } from "./views.ts";

interface Props {
  live: LiveFlow;
  past: PastFlow | null;
  view: ViewName;
  task: number | null;
}

/** What flow this is, how it stands, and how much of it. */
export function FlowHead({ live, past, view, task }: Props) {
  const shown: ShownFlow = past ?? live;
  const plan = live.plan.value;
  const flow = shown.flow.value;
  if (plan === null || flow === null) return null;
  const word = statusWord(flow.status);
  const isPaused = flow.pausedMs !== null;
  const hasEnded = flow.finishedMs !== null;
  const stage = stageOfFlow(word, isPaused, hasEnded);
  const counts: Partial<Record<Stage, number>> = {
    ...flow,
    suspended: flow.suspended - flow.givenUp,
    givenup: flow.givenUp,
  };
  const wanted = route.value.query.get("tasks");
  const stood = flow.running === 0 ? flow.suspendedMs : null;
  const until = flow.finishedMs ?? past?.ms ?? stood ?? now.value;
  return (
    <div class="bar flow-head">
      <h1>
        {plan.parent && (
          <>
            <a
              class="up muted"
              href={hrefOf(["flows", plan.parent], { task: plan.parentTask ?? null })}
              title="The flow of which this one does a task"
            >
              ↑ {shortId(plan.parent)}
            </a>
            {" / "}
          </>
        )}
        <a class="up" href={hrefOf(["flows"], { taskId: plan.taskId })} title="All flows of this workflow">
          <bdi>{plan.taskId}</bdi>
        </a>
      </h1>
      <span class={`badge ${stage}`}>
        <StatusMark stage={stage} isNamed />{" "}
        {stage === "paused"
          ? flow.pausedBy === null
            ? "paused"
            : `paused by ${flow.pausedBy}`
          : wordOfFlow(word, hasEnded, flow.endingMs !== null)}
      </span>
      <span class="counts">
        {COUNTED.map((one) => {
          const count = counts[one] ?? 0;
          if (count === 0) return null;
          const word = wordOfCount(one);
          return (
            <a
              key={one}
              href={withQuery({ view: "list", tasks: one })}
              title={`Only these: ${word}`}
              aria-current={view === "list" && wanted === one ? "true" : undefined}
            >
              <StatusMark stage={one} word={word} /> {count.toLocaleString()}
            </a>
          );
        })}
      </span>
      <span class="muted times" title={iso(plan.registeredMs)}>
        {moment(plan.registeredMs)}
        {flow.startedMs !== null && `, ${duration(until - flow.startedMs)}`}
      </span>
      <code class="muted flow-id" title={plan.taskFlowId}>
        {shortId(plan.taskFlowId)}
      </code>
      <span class="grow" />
      {past === null && <Operations live={live} task={task} />}
      <nav class="segments" aria-label="How tasks are shown">
        {viewsOf(live).map(([name, word]) => (
          <a
            key={name}
            href={withQuery({ view: name === "graph" ? null : name })}
            aria-current={name === view ? "true" : undefined}
          >
            {word}
          </a>
        ))}
      </nav>
    </div>
  );
}
