// What failed, grouped by what is the same in it: one line a fault, however many tasks have it.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, isAborted } from "../lib/api.ts";
import { follow } from "../lib/events.ts";
import { bindKeys } from "../lib/keys.ts";
import { go, hrefOf, replaceQuery, route } from "../lib/route.ts";
import { ago, iso, moment, now } from "../lib/times.ts";
import type { ErrorGroup, ErrorGroups } from "../lib/types.ts";

const SETTLE_MS = 1_000;

export function ErrorsScreen() {
  const found = useSignal<ErrorGroups | null>(null);
  const problem = useSignal<string | null>(null);
  useEffect(() => {
    const ending = new AbortController();
    let timer = 0;
    const load = async () => {
      timer = 0;
      try {
        found.value = await ask<ErrorGroups>("errors", ending.signal);
        problem.value = null;
      } catch (error) {
        if (!isAborted(error)) problem.value = error instanceof Error ? error.message : String(error);
      }
    };
    load();
    follow(
      "changes",
      ({ kind }) => {
        if (kind !== "start" && timer === 0) timer = window.setTimeout(load, SETTLE_MS);
      },
      (detail) => (problem.value = detail),
      ending.signal,
    );
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [found, problem]);
  const groups = found.value?.groups ?? [];
  const chosen = Number(route.value.query.get("line") ?? -1);
  useEffect(() => {
    const step = (by: number) =>
      replaceQuery({ line: Math.max(0, Math.min(groups.length - 1, chosen + by)) });
    return bindKeys([
      { keys: "j", what: "next fault", run: () => step(1) },
      { keys: "k", what: "fault before", run: () => step(-1) },
      {
        keys: "Enter",
        what: "open its last task",
        run: () => {
          const group = groups[chosen];
          if (group !== undefined) go(["flows", group.taskFlowId], { task: group.taskExecSeq });
        },
      },
    ]);
  }, [chosen, found.value]);
  return (
    <div class="screen">
      <div class="bar">
        <h1>Errors</h1>
        {found.value !== null && (
          <span class="muted">
            {tasksIn(groups)} failed {tasksIn(groups) === 1 ? "task" : "tasks"}, {groups.length}{" "}
            {groups.length === 1 ? "fault" : "faults"}
            {found.value.isAll ? "" : " (of the latest)"}
          </span>
        )}
      </div>
      {problem.value !== null && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      {found.value !== null && groups.length === 0 && (
        <div class="empty">
          <p>No task stands failed.</p>
        </div>
      )}
      {groups.length > 0 && <Groups groups={groups} chosen={chosen} />}
    </div>
  );
}

function tasksIn(groups: ErrorGroup[]): number {
  return groups.reduce((sum, group) => sum + group.tasks, 0);
}

function Groups({ groups, chosen }: { groups: ErrorGroup[]; chosen: number }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: it scrolls
    <div class="scroll" role="region" aria-label="Faults" tabIndex={0}>
      <table class="flows errors">
        <thead>
          <tr>
            <th class="count">Tasks</th>
            <th class="program">Program</th>
            <th>Error</th>
            <th class="by">Workflows</th>
            <th class="when">Last</th>
          </tr>
        </thead>
        <tbody>
          {groups.map((group, index) => (
            <Line
              key={`${group.program} ${group.type} ${group.shape}`}
              group={group}
              isChosen={index === chosen}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ group, isChosen }: { group: ErrorGroup; isChosen: boolean }) {
  const last = Date.parse(group.lastTs);
  return (
    <tr class={isChosen ? "chosen" : undefined}>
      <td class="count">{group.tasks}</td>
      <td class="program">
        <bdi>{group.program}</bdi>
      </td>
      <td class="name" title={group.message}>
        <a href={hrefOf(["flows", group.taskFlowId], { task: group.taskExecSeq })}>
          <bdi>{group.type}</bdi>
        </a>{" "}
        <bdi class="muted">{group.shape}</bdi>
      </td>
      <td class="by">
        {group.workflows.map((name) => (
          <a key={name} href={hrefOf(["flows"], { taskId: name, status: "suspend" })}>
            <bdi>{name}</bdi>
          </a>
        ))}
      </td>
      <td class="when" title={iso(last)}>
        {moment(last)} <span class="muted">{ago(last, now.value)}</span>
      </td>
    </tr>
  );
}
