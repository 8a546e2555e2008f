// What failed, grouped by what is the same in it: one line a fault, however many tasks have it.
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { ask, isAborted } from "../lib/api.ts";
import { follow } from "../lib/events.ts";
import { bindKeys } from "../lib/keys.ts";
import { go, hrefOf } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { ago, iso, moment, now } from "../lib/times.ts";
import type { ErrorGroup, ErrorGroups } from "../lib/types.ts";
import { useLineKeys } from "../ui/line-keys.ts";
import { Said, useSaid } from "../ui/said.tsx";
import { FaultDialog } from "./fault-dialog.tsx";

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
  const asked = useSignal<Asked | null>(null);
  const said = useSaid();
  const mayOperate = session.value?.mayOperate ?? false;
  const groups = found.value?.groups ?? [];
  const chosen = useLineKeys("fault", groups.map(nameOf), (name) => {
    const group = groups.find((one) => nameOf(one) === name);
    if (group !== undefined) go(["flows", group.taskFlowId], { task: group.taskExecSeq });
  });
  const line = groups.find((one) => nameOf(one) === chosen);
  useLayoutEffect(() => {
    if (line === undefined || !mayOperate) return;
    const keys = OPERATIONS.map(([operation, word, key]) => ({
      keys: key,
      what: `${word.toLowerCase()} all that failed so`,
      run: () => (asked.value = { group: line, operation }),
    }));
    return bindKeys(keys);
  }, [chosen, line === undefined, mayOperate, asked]);
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
        <span class="grow" />
        <Said said={said} />
      </div>
      {problem.value !== null && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      {found.value !== null && groups.length === 0 && (
        <div class="empty">
          <p>No task stands failed.</p>
          <p class="muted">
            What fails for good shows up here, one line for all that is alike: with its log, and to be rerun
            or passed over in one go.
          </p>
        </div>
      )}
      {groups.length > 0 && (
        <Groups
          groups={groups}
          chosen={chosen}
          onAsk={mayOperate ? (group, operation) => (asked.value = { group, operation }) : null}
        />
      )}
      {asked.value !== null && (
        <FaultDialog
          {...asked.value}
          onClose={() => (asked.value = null)}
          onDone={(words, undo) => (said.value = { words, undo })}
        />
      )}
    </div>
  );
}

function tasksIn(groups: ErrorGroup[]): number {
  return groups.reduce((sum, group) => sum + group.tasks, 0);
}

function nameOf({ program, type, shape }: ErrorGroup): string {
  return `${program} ${type} ${shape}`;
}

interface Asked {
  group: ErrorGroup;
  operation: "rerun" | "ignore";
}

const OPERATIONS = [
  ["rerun", "Rerun", "r"],
  ["ignore", "Ignore", "i"],
] as const;

interface GroupsProps {
  groups: ErrorGroup[];
  chosen: string;
  /** Null: who looks may only read. */
  onAsk: ((group: ErrorGroup, operation: Asked["operation"]) => void) | null;
}

function Groups({ groups, chosen, onAsk }: GroupsProps) {
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
            <th class="acts">
              <span class="hidden">Log of the last one, and what can be done</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <Line key={nameOf(group)} group={group} isChosen={nameOf(group) === chosen} onAsk={onAsk} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({
  group,
  isChosen,
  onAsk,
}: {
  group: ErrorGroup;
  isChosen: boolean;
  onAsk: GroupsProps["onAsk"];
}) {
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
      <td class="acts">
        <a href={hrefOf(["flows", group.taskFlowId], { task: group.taskExecSeq, tab: "log" })}>Log</a>
        {onAsk !== null &&
          OPERATIONS.map(([operation, word]) => (
            <button key={operation} type="button" class="link" onClick={() => onAsk(group, operation)}>
              {word}
            </button>
          ))}
      </td>
    </tr>
  );
}
