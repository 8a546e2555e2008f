// A flow: graph, Gantt chart, list, history or comparison; beside it the task that is chosen, under all of it
// time. A failed flow opens at its failure.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { hrefOf, replaceQuery, route } from "../lib/route.ts";
import { useKeys } from "../ui/use-keys.ts";
import { chosenTasks } from "./chosen-tasks.ts";
import { Compare } from "./compare.tsx";
import { DagCanvas } from "./dag-canvas.tsx";
import { FlowFacts } from "./flow-facts.tsx";
import { FlowHead } from "./flow-head.tsx";
import { FlowTree } from "./flow-tree.tsx";
import { Gantt } from "./gantt.tsx";
import { History } from "./history.tsx";
import { LiveFlow } from "./live-flow.ts";
import { PastFlow } from "./past-flow.ts";
import type { ShownFlow } from "./shown-flow.ts";
import { TaskList } from "./task-list.tsx";
import { TaskPane } from "./task-pane.tsx";
import { TimeBar } from "./time-bar.tsx";
import { VIEWS, type ViewName, viewsOf } from "./views.ts";

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
  const view = VIEWS.find(([name]) => name === query.get("view"))?.[0] ?? "graph";
  const past = usePast(live, query.get("at"));
  const asked = Number(query.get("task"));
  const failed = query.has("task") ? null : nextFailed(live, null);
  const chosen = asked >= 1 && asked <= live.count ? asked : failed;
  const choose = (task: number | null) => replaceQuery({ task: task === null ? "0" : task });
  useEffect(() => {
    if (failed !== null) choose(failed); // it stays chosen when it is mended
  }, [failed]);
  const step = (by: number) => choose(nextTask(live, past ?? live, view, chosen ?? 0, by));
  const turn = () => {
    const all = viewsOf(live);
    const next = all[(all.findIndex(([name]) => name === view) + 1) % all.length]?.[0] ?? "graph";
    replaceQuery({ view: next === "graph" ? null : next });
  };
  useKeys([
    { keys: "j", what: "next task", run: () => step(1) },
    { keys: "k", what: "task before", run: () => step(-1) },
    { keys: "v", what: "graph, list, Gantt, history, compare", run: turn },
    { keys: "n", what: "next failed task", run: () => choose(nextFailed(live, chosen)) },
    { keys: "l", what: "log of the task", run: () => replaceQuery({ tab: "log" }) },
    { keys: "d", what: "details of the task", run: () => replaceQuery({ tab: null }) },
    { keys: "Escape", what: "close the task", run: () => choose(null) },
  ]);
  if (plan === null) return live.problem.value === null ? null : <Refused detail={live.problem.value} />;
  const shown = past ?? live;
  return (
    <div class="screen flow">
      <FlowHead live={live} past={past} view={view} task={chosen} />
      {live.problem.value !== null && (
        <p class="problem" role="alert">
          {live.problem.value}
        </p>
      )}
      <div class={chosen === null ? "panes" : "panes split"}>
        <Main live={live} past={past} view={view} chosen={chosen} onChoose={choose} />
        {chosen !== null && <TaskPane key={chosen} live={shown} task={chosen} onClose={() => choose(null)} />}
      </div>
      <TimeBar live={live} past={past} />
    </div>
  );
}

interface MainProps {
  live: LiveFlow;
  past: PastFlow | null;
  view: ViewName;
  chosen: number | null;
  onChoose: (task: number | null) => void;
}

function Main({ live, past, view, chosen, onChoose }: MainProps) {
  const shown: ShownFlow = past ?? live;
  const word = VIEWS.find(([name]) => name === view)?.[1] ?? "";
  return (
    <section class="main-pane" aria-label={word}>
      {view === "graph" && <DagCanvas live={shown} chosen={chosen} onChoose={onChoose} />}
      {view === "list" && <TaskList live={shown} chosen={chosen} onChoose={onChoose} />}
      {view === "gantt" && <Gantt live={live} past={past} chosen={chosen} onChoose={onChoose} />}
      {view === "history" && <History live={live} />}
      {view === "about" && <FlowFacts live={live} />}
      {view === "tree" && <FlowTree live={live} />}
      {view === "compare" && <Compare live={live} past={past} chosen={chosen} onChoose={onChoose} />}
    </section>
  );
}

/** The flow as it stood at the moment that the address names; null: as it stands now. */
function usePast(live: LiveFlow, at: string | null): PastFlow | null {
  const timeline = live.timeline.value;
  const plan = live.plan.value;
  const layout = live.layout.value;
  useEffect(() => {
    if (at !== null) live.wantTimeline();
  }, [live, at]);
  return useMemo(() => {
    if (at === null || timeline === null || plan === null) return null;
    return new PastFlow(plan, layout, timeline, timeline.stepAt(at));
  }, [at, timeline, plan, layout]);
}

/** The task that comes next in what is shown: in a list of some tasks, the next of these. */
function nextTask(live: LiveFlow, shown: ShownFlow, view: ViewName, from: number, by: number): number {
  const wanted = view === "list" ? route.value.query.get("tasks") : null;
  const some = view === "list" || view === "gantt" ? chosenTasks(shown, wanted) : null;
  if (some === null || some.length === 0) return Math.max(1, Math.min(live.count, from + by));
  const at = some.indexOf(from);
  if (at >= 0) return some[Math.max(0, Math.min(some.length - 1, at + by))] ?? from;
  const next = by > 0 ? some.find((task) => task > from) : some.filter((task) => task < from).at(-1);
  return next ?? (by > 0 ? some.at(-1) : some[0]) ?? from;
}

function nextFailed(live: LiveFlow, behind: number | null): number | null {
  const all = live.rows.filter((row) => row?.status === 2);
  const held = all.filter((row) => row.endedAs !== "x");
  const failed = (held.length > 0 ? held : all).map((row) => row.task);
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
