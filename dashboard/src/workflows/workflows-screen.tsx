// All workflows by name, or one of them.
import { useLayoutEffect, useRef } from "preact/hooks";
import { usePages } from "../lib/answers.ts";
import { counted } from "../lib/counts.ts";
import { bindKeys } from "../lib/keys.ts";
import { go, hrefOf, replaceQuery, route } from "../lib/route.ts";
import { useLineKeys } from "../ui/line-keys.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { WorkflowScreen } from "./workflow-screen.tsx";
import type { WorkflowEntry } from "./workflow-types.ts";

const REST_MS = 5_000;

export function WorkflowsScreen() {
  const name = route.value.path[1];
  return name === undefined ? <AllWorkflows /> : <WorkflowScreen key={name} name={name} />;
}

function AllWorkflows() {
  const input = useRef<HTMLInputElement>(null);
  const { items, problem, more } = usePages<WorkflowEntry>("workflows?limit=1000", "workflows", REST_MS);
  const text = route.value.query.get("name") ?? "";
  const shown = (items ?? []).filter(({ taskId }) => taskId.toLowerCase().includes(text.toLowerCase()));
  const chosen = useLineKeys(
    "workflow",
    shown.map(({ taskId }) => taskId),
    (name) => go(["workflows", name]),
  );
  useLayoutEffect(
    () => bindKeys([{ keys: "/", what: "filter by name", run: () => input.current?.focus() }]),
    [],
  );
  return (
    <div class="screen">
      <div class="bar">
        <h1>Workflows</h1>
        <form onSubmit={(event) => event.preventDefault()}>
          <input
            ref={input}
            type="search"
            aria-label="Name"
            placeholder="Name  ( / )"
            value={text}
            onInput={(event) => replaceQuery({ name: event.currentTarget.value })}
          />
        </form>
        {items !== null && <span class="muted">{counted(shown.length, "workflow")}</span>}
      </div>
      <ProblemLine words={problem} />
      {items?.length === 0 && <NoWorkflow />}
      {items !== null && items.length > 0 && shown.length === 0 && (
        <div class="empty">
          <p>No workflow is called like that.</p>
        </div>
      )}
      {shown.length > 0 && (
        // biome-ignore lint/a11y/useSemanticElements: it scrolls
        <div class="scroll" role="region" aria-label="Workflows" tabIndex={0}>
          <table class="rows">
            <thead>
              <tr>
                <th>Workflow</th>
                <th class="w-s number">Tasks</th>
                <th class="w-p wide">
                  <span class="hidden">What is wrong with it</span>
                </th>
                <th class="w-l">
                  <span class="hidden">Where to go</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((one) => (
                <Line key={one.taskId} workflow={one} isChosen={one.taskId === chosen} />
              ))}
            </tbody>
          </table>
          {more !== null && (
            <p class="more">
              <button type="button" onClick={more}>
                Show more workflows
              </button>
            </p>
          )}
        </div>
      )}
    </div>
  );
}

function Line({ workflow, isChosen }: { workflow: WorkflowEntry; isChosen: boolean }) {
  const { taskId, taskCount, problem = "" } = workflow;
  return (
    <tr class={isChosen ? "chosen" : undefined} aria-selected={isChosen}>
      <td class="name">
        <a href={hrefOf(["workflows", taskId])}>
          <bdi>{taskId}</bdi>
        </a>
      </td>
      <td class="number">{taskCount}</td>
      <td class="wrong wide" title={problem}>
        {problem}
      </td>
      <td class="links-cell">
        <a href={hrefOf(["workflows", taskId], { view: "register" })}>Register</a>
        <a href={hrefOf(["flows"], { taskId })}>Flows</a>
      </td>
    </tr>
  );
}

function NoWorkflow() {
  return (
    <div class="empty beginning">
      <h2>No workflow yet</h2>
      <p>
        A workflow says which programs run, and what waits for what. Write one in Python and deploy it, or
        send it as JSON:
      </p>
      <pre>{`flower deploy hello.py

curl -X PUT localhost:8000/workflows/hello -H 'Content-Type: application/json' \\
  -d '{"tasks": [{"taskSeq": 1, "program": "greet", "parameters": {"name": "Ada"}}]}'`}</pre>
      <p class="muted">It shows up here as soon as it is defined.</p>
    </div>
  );
}
