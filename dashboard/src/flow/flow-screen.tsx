// A flow: graph or list, and beside it the task that is chosen. A failed one opens at its failure.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { bindKeys } from "../lib/keys.ts";
import { hrefOf, replaceQuery, route } from "../lib/route.ts";
import { DagCanvas } from "./dag-canvas.tsx";
import { FlowHead } from "./flow-head.tsx";
import { LiveFlow } from "./live-flow.ts";
import { TaskList } from "./task-list.tsx";
import { TaskPane } from "./task-pane.tsx";

export function FlowScreen({ id }: { id: string }) {
  const live = useSignal<LiveFlow | null>(null);
  useEffect(() => {
    const opened = new LiveFlow(id);
    live.value = opened;
    return () => opened.close();
  }, [id, live]);
  return live.value === null ? null : <Shown live={live.value} />;
}

function Shown({ live }: { live: LiveFlow }) {
  void live.frame.value;
  const { query } = route.value;
  const plan = live.plan.value;
  const isList = query.get("view") === "list";
  const asked = Number(query.get("task"));
  const failed = query.has("task") ? null : nextFailed(live, null);
  const chosen = asked >= 1 && asked <= live.count ? asked : failed;
  const choose = (task: number | null) => replaceQuery({ task: task === null ? "0" : task });
  useEffect(() => {
    if (failed !== null) choose(failed); // it stays chosen when it is mended
  }, [failed]);
  useEffect(() => {
    const step = (by: number) => choose(Math.max(1, Math.min(live.count, (chosen ?? 0) + by)));
    return bindKeys([
      { keys: "j", what: "next task", run: () => step(1) },
      { keys: "k", what: "task before", run: () => step(-1) },
      { keys: "v", what: "graph or list", run: () => replaceQuery({ view: isList ? null : "list" }) },
      { keys: "n", what: "next failed task", run: () => choose(nextFailed(live, chosen)) },
      { keys: "l", what: "log of the task", run: () => replaceQuery({ tab: "log" }) },
      { keys: "d", what: "details of the task", run: () => replaceQuery({ tab: null }) },
      { keys: "Escape", what: "close the task", run: () => choose(null) },
    ]);
  }, [live, chosen, isList]);
  if (plan === null) return live.problem.value === null ? null : <Refused detail={live.problem.value} />;
  return (
    <div class="screen flow">
      <FlowHead live={live} isList={isList} task={chosen} />
      {live.problem.value !== null && (
        <p class="problem" role="alert">
          {live.problem.value}
        </p>
      )}
      <div class={chosen === null ? "panes" : "panes split"}>
        <section class="main-pane" aria-label={isList ? "Tasks" : "Graph"}>
          {isList ? (
            <TaskList live={live} chosen={chosen} onChoose={choose} />
          ) : (
            <DagCanvas live={live} chosen={chosen} onChoose={choose} />
          )}
        </section>
        {chosen !== null && <TaskPane key={chosen} live={live} task={chosen} onClose={() => choose(null)} />}
      </div>
    </div>
  );
}

function nextFailed(live: LiveFlow, behind: number | null): number | null {
  const failed = live.rows.filter((row) => row?.status === 2).map((row) => row.task);
  return failed.find((task) => task > (behind ?? 0)) ?? failed[0] ?? behind;
}

function Refused({ detail }: { detail: string }) {
  return (
    <div class="empty">
      <h1>This flow cannot be shown</h1>
      <p role="alert">{detail}</p>
      <p>
        <a href={hrefOf(["flows"])}>All flows</a>
      </p>
    </div>
  );
}
