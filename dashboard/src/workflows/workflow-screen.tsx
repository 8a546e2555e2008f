// A workflow: its graph, its tasks, its versions and what is different between them, and a form that starts a flow.
import { useLayoutEffect, useMemo } from "preact/hooks";
import { DagCanvas } from "../flow/dag-canvas.tsx";
import { useAnswer } from "../lib/answers.ts";
import { bindKeys } from "../lib/keys.ts";
import { pathTo } from "../lib/paths.ts";
import { hrefOf, replaceQuery, route, withQuery } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { DefinedFlow } from "./defined-flow.ts";
import { DefinedTask } from "./defined-task.tsx";
import { DefinedTasks } from "./defined-tasks.tsx";
import { RegisterForm } from "./register-form.tsx";
import { Versions } from "./versions.tsx";
import type { VersionDetail } from "./workflow-types.ts";

const REST_MS = 5_000;
const VIEWS: [string, string][] = [
  ["graph", "Graph"],
  ["tasks", "Tasks"],
  ["versions", "Versions"],
  ["register", "Register"],
];

export function WorkflowScreen({ name }: { name: string }) {
  const { query } = route.value;
  const asked = query.get("version");
  const path = `${pathTo("workflows", name, "versions", asked ?? "newest")}?layout=true`;
  const { value: version, problem } = useAnswer<VersionDetail>(path, asked === null ? REST_MS : 0);
  const views = VIEWS.filter(([key]) => key !== "register" || session.value?.mayOperate);
  const view = views.find(([key]) => key === query.get("view"))?.[0] ?? "graph";
  const hash = version?.hash; // what has this one stays as it is
  const flow = useMemo(() => (version === null ? null : new DefinedFlow(version)), [hash]);
  const number = Number(query.get("task"));
  const chosen = number >= 1 && number <= (flow?.count ?? 0) ? number : null;
  const choose = (task: number | null) => replaceQuery({ task });
  useLayoutEffect(() => {
    const step = (by: number) =>
      choose(Math.max(1, Math.min(flow?.count ?? 1, Number(route.value.query.get("task")) + by)));
    const turn = () => {
      const at = views.findIndex(([key]) => key === (route.value.query.get("view") ?? "graph"));
      const next = views[(at + 1) % views.length]?.[0];
      replaceQuery({ view: next === "graph" ? null : (next ?? null) });
    };
    return bindKeys([
      { keys: "v", what: "graph, tasks, versions, register", run: turn },
      ...(views.length === VIEWS.length
        ? [{ keys: "r", what: "register a flow", run: () => replaceQuery({ view: "register" }) }]
        : []),
      ...(view === "graph" || view === "tasks"
        ? [
            { keys: "j", what: "next task", run: () => step(1) },
            { keys: "k", what: "task before", run: () => step(-1) },
            { keys: "Escape", what: "close the task", run: () => choose(null) },
          ]
        : []),
    ]);
  }, [flow, view]);
  const showsTasks = view === "graph" || view === "tasks";
  return (
    <div class="screen flow">
      <div class="bar flow-head">
        <h1>
          <a class="up" href={hrefOf(["workflows"])}>
            Workflows
          </a>
          {" / "}
          <bdi>{name}</bdi>
        </h1>
        <span class="segments">
          {views.map(([key, word]) => (
            <a
              key={key}
              href={withQuery({ view: key === "graph" ? null : key })}
              aria-current={key === view ? "true" : undefined}
            >
              {word}
            </a>
          ))}
        </span>
        {version !== null && (
          <span class="muted">
            version {version.number}
            {version.isNewest ? "" : ", not the newest"}
          </span>
        )}
        <span class="grow" />
        <a href={hrefOf(["flows"], { taskId: name })}>Flows</a>
      </div>
      <ProblemLine words={problem} />
      {version?.definition.description && <p class="described">{version.definition.description}</p>}
      {flow !== null && showsTasks && (
        <div class={chosen === null ? "panes" : "panes split"}>
          <section class="main-pane" aria-label={view === "graph" ? "Graph" : "Tasks"}>
            {view === "graph" ? (
              <DagCanvas key={hash} live={flow} chosen={chosen} onChoose={choose} />
            ) : (
              <DefinedTasks flow={flow} chosen={chosen} onChoose={choose} />
            )}
          </section>
          {chosen !== null && <DefinedTask flow={flow} task={chosen} onClose={() => choose(null)} />}
        </div>
      )}
      {view === "versions" && <Versions name={name} />}
      {version !== null && view === "register" && <RegisterForm key={hash} name={name} version={version} />}
    </div>
  );
}
