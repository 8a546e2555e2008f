// The task that is chosen: why it failed or waits first, then what it was given and gave, and what it wrote.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, isAborted } from "../lib/api.ts";
import { replaceQuery, route } from "../lib/route.ts";
import { STAGE_WORDS } from "../lib/statuses.ts";
import { iso, moment } from "../lib/times.ts";
import type { TaskDetail, TaskRow } from "../lib/types.ts";
import { notTakenWords } from "../lib/wait-words.ts";
import { StatusMark } from "../ui/status-mark.tsx";
import { ChainOfItem } from "./chain-items.tsx";
import { ChildFlows } from "./child-flows.tsx";
import { GivenParameters } from "./given-parameters.tsx";
import { countsOf, totalOf } from "./item-counts.ts";
import { LastLines } from "./last-lines.tsx";
import { MapItems } from "./map-items.tsx";
import type { ShownFlow } from "./shown-flow.ts";
import { Attempts } from "./task-attempts.tsx";
import { TaskErrorView } from "./task-error.tsx";
import { TaskLog } from "./task-log.tsx";
import { TaskResult } from "./task-result.tsx";
import { TaskLinks, Why } from "./why.tsx";

interface Props {
  live: ShownFlow;
  task: number;
  onClose: () => void;
}

const USUAL_ROUNDS = 1_000; // of a task that says nothing of them
const SETTLE_MS = 150; // between what moved and what is asked of it
const AGAIN_MS = 5_000; // why it waits changes without an event of its flow

export function TaskPane({ live, task, onClose }: Props) {
  void live.frame.value;
  const detail = useSignal<TaskDetail | null>(null);
  const problem = useSignal<string | null>(null);
  const row = live.rows[task];
  const moved = `${row?.status} ${row?.attempt} ${row?.open} ${row?.endedAs} ${row?.retryMs} ${row?.againMs} ${row?.awaiting} ${row?.answered}`;
  useEffect(() => {
    const ending = new AbortController();
    let timer = 0;
    const load = async () => {
      try {
        detail.value = await ask<TaskDetail>(live.pathOf(task), ending.signal);
        problem.value = null;
      } catch (error) {
        if (isAborted(error)) return;
        problem.value = error instanceof Error ? error.message : String(error);
      }
      if (detail.value?.status === "Wait" && live.at === null) timer = window.setTimeout(load, AGAIN_MS);
    };
    timer = window.setTimeout(load, detail.peek() === null ? 0 : SETTLE_MS);
    return () => {
      clearTimeout(timer);
      ending.abort();
    };
  }, [live, task, moved, detail, problem]);
  const stage = live.stage(task);
  const map = live.mapOf(task);
  const items = countsOf(live, task);
  const isMap = live.plan.value?.programs[task - 1] === "@map";
  const isFlow = live.plan.value?.programs[task - 1] === "@flow";
  const tabs: readonly [string, string | null][] = isMap
    ? [
        [items === null ? "Items" : `Items (${totalOf(items).toLocaleString()})`, "items"],
        ["Details", null],
      ]
    : isFlow
      ? [["Details", null]]
      : [
          ["Details", null],
          ["Log", "log"],
        ];
  const asked = route.value.query.get("tab") ?? (isMap && items !== null ? "items" : null);
  const tab = tabs.some(([, key]) => key === asked) ? asked : null;
  const shown = detail.value;
  return (
    <aside class="pane" aria-label={`Task ${live.name(task)}`}>
      <div class="pane-head">
        <StatusMark stage={stage} />
        <h2>
          {map !== null && (
            <>
              <button type="button" class="link" onClick={() => replaceQuery({ task: map, tab: null })}>
                <bdi>{live.name(map)}</bdi>
              </button>
              {" › "}
            </>
          )}
          <bdi>{map === null ? live.name(task) : `item ${live.plan.value?.itemIndex?.[task - 1]}`}</bdi>
          {live.keyOf(task) !== "" && <bdi class="muted"> {live.keyOf(task)}</bdi>}
        </h2>
        <span class="muted">
          {items !== null && stage === "waiting" ? "waits for its items" : STAGE_WORDS[stage]}
        </span>
        <span class="grow" />
        <button type="button" class="quiet" onClick={onClose} aria-label="Close the task (Escape)">
          ✕
        </button>
      </div>
      {map !== null && <ChainOfItem live={live} item={task} />}
      <div class="tabs" role="tablist">
        {tabs.map(([name, key]) => (
          <button
            key={key}
            type="button"
            role="tab"
            aria-selected={tab === key}
            onClick={() => replaceQuery({ tab: key ?? (isMap ? "details" : null) })}
          >
            {name}
          </button>
        ))}
      </div>
      {problem.value !== null && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      {tab === "log" && <TaskLog key={`${live.id} ${task}`} flow={live.id} task={task} />}
      {tab === "items" && <MapItems live={live} task={task} given={givenOf(shown)} />}
      {tab === null && (
        <div class="pane-body">
          {row?.status === 0 && shown?.waitReason && <Why live={live} task={task} why={shown.waitReason} />}
          {row?.status === 1 && (row.note !== null || row.fraction !== null) && (
            <Progress fraction={row.fraction} note={row.note} />
          )}
          {row !== undefined && <HowItEnded row={row} detail={shown} live={live} />}
          {isFlow && <ChildFlows live={live} task={task} />}
          {shown?.error && <TaskErrorView error={shown.error} isPast={row?.status !== 2} />}
          {row?.status === 2 && live.at === null && !isMap && !isFlow && (
            <LastLines key={row.attempt} flow={live.id} task={task} attempt={row.attempt} />
          )}
          {shown !== null && <Facts detail={shown} live={live} task={task} />}
        </div>
      )}
    </aside>
  );
}

function givenOf(detail: TaskDetail | null): Record<string, unknown> | null {
  return (detail?.parameters ?? null) as Record<string, unknown> | null;
}

/** Of a task that did not finish, and is not under way. */
function HowItEnded({ row, detail, live }: { row: TaskRow; detail: TaskDetail | null; live: ShownFlow }) {
  if (row.endedAs === "x") return <p>It failed and was given up: its flow went on without it.</p>;
  if (row.status === 2 && row.givesUpMs !== null) {
    return (
      <p title={iso(row.givesUpMs)}>
        It is held; unless somebody decides before, it is given up at {moment(row.givesUpMs)}.
      </p>
    );
  }
  if (detail?.takenFrom) {
    return (
      <section aria-label="Whose result it has">
        <p>It did not run: an earlier item was the same, and it has the result of that.</p>
        <TaskLinks tasks={[detail.takenFrom]} live={live} />
      </section>
    );
  }
  if (row.status !== 9) return null;
  if (row.endedAs === "v") return <p>It vanished: its map was expanded anew, and has other items.</p>;
  if (row.endedAs === "u" || detail?.endedAs === "unneeded") {
    const joins = detail?.notNeededBy ?? [];
    return (
      <section class="why" aria-label="Why it is not needed">
        <p>
          Cancelled: nobody needs it, as {joins.length > 0 ? "these" : "what it led to"} went on without it.
        </p>
        <TaskLinks tasks={joins} live={live} />
      </section>
    );
  }
  if (row.endedAs === "n" || row.endedAs === "w") {
    if (!detail?.notTaken) return <p>Not taken, by its rule.</p>;
    return (
      <section class="why" aria-label="Why it was not taken">
        <p>{notTakenWords(detail.notTaken)}</p>
        <TaskLinks tasks={detail.notTaken.dependsOn} live={live} />
      </section>
    );
  }
  return (
    <p>
      {row.endedAs === "c" ? "Cut off by a cancel of " : "Passed over by "}
      <bdi>{row.ignoredBy}</bdi>
      {row.ignoreReason ? `: ${row.ignoreReason}` : ""}
      {detail?.hasStandIn ? " (with a result in its place)" : ""}
    </p>
  );
}

function Progress({ fraction, note }: { fraction: number | null; note: string | null }) {
  return (
    <p class="progress">
      {fraction !== null && <progress value={fraction} aria-label="Progress" />}
      <bdi>{note}</bdi>
    </p>
  );
}

function Facts({ detail, live, task }: { detail: TaskDetail; live: ShownFlow; task: number }) {
  const before = detail.dependsOn;
  const behind = live.dependents(task);
  return (
    <>
      <GivenParameters detail={detail} live={live} />
      <TaskResult detail={detail} />
      <Attempts attempts={detail.attempts} />
      <section>
        <h3>Place</h3>
        <dl class="facts">
          <dt>Program</dt>
          <dd>
            <bdi>{detail.program}</bdi>
          </dd>
          <dt>Queue</dt>
          <dd>
            <bdi>{detail.queue}</bdi>
          </dd>
          {detail.round > 0 && (
            <>
              <dt>Round</dt>
              <dd>
                {detail.round} of at most {detail.maxRounds}, with <bdi>{JSON.stringify(detail.given)}</bdi>
              </dd>
            </>
          )}
          {detail.round === 0 && detail.maxRounds !== USUAL_ROUNDS && (
            <>
              <dt>Rounds</dt>
              <dd>at most {detail.maxRounds.toLocaleString()}</dd>
            </>
          )}
          {detail.whenIs && (
            <>
              <dt>Branch</dt>
              <dd>
                if <bdi>{live.name(detail.whenIs[0])}</bdi> is {String(detail.whenIs[1])}
              </dd>
            </>
          )}
          {detail.finally && (
            <>
              <dt>Finally</dt>
              <dd>a cancel and the flow's timeout spare it</dd>
            </>
          )}
          {detail.workflowVersion !== null && (
            <>
              <dt>Version</dt>
              <dd>
                <code>{detail.workflowVersion.slice(0, 12)}</code>, by a rerun
              </dd>
            </>
          )}
          {detail.rule !== "ready" && (
            <>
              <dt>Rule</dt>
              <dd>{detail.rule}</dd>
            </>
          )}
          {detail.onFailure !== "hold" && (
            <>
              <dt>On failure</dt>
              <dd>{detail.onFailure}</dd>
            </>
          )}
          <Links name="Waits for" tasks={before} live={live} />
          <Links name="Before" tasks={behind} live={live} />
        </dl>
      </section>
    </>
  );
}

function Links({ name, tasks, live }: { name: string; tasks: number[]; live: ShownFlow }) {
  if (tasks.length === 0) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <TaskLinks tasks={tasks} live={live} />
      </dd>
    </>
  );
}
