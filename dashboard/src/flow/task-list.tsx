// The tasks of a flow as a list, of which only what is seen is in the page, however many there are.
import { useEffect, useRef } from "preact/hooks";
import { route, withQuery } from "../lib/route.ts";
import { STAGE_WORDS, type Stage } from "../lib/statuses.ts";
import { clock, duration, now } from "../lib/times.ts";
import type { TaskRow } from "../lib/types.ts";
import { useSeenRows } from "../ui/seen-rows.ts";
import { StatusMark } from "../ui/status-mark.tsx";
import { chainsOf } from "./chains.ts";
import { chosenTasks, wordOfCount } from "./chosen-tasks.ts";
import type { ShownFlow } from "./shown-flow.ts";

const ROW = 30;

interface Props {
  live: ShownFlow;
  chosen: number | null;
  onChoose: (task: number) => void;
}

export function TaskList({ live, chosen, onChoose }: Props) {
  void live.frame.value;
  const place = useRef<HTMLDivElement>(null);
  const wanted = route.value.query.get("tasks");
  const tasks = chosenTasks(live, wanted);
  const count = tasks === null ? live.count : tasks.length;
  const seen = useSeenRows(place, ROW, count);
  useEffect(() => {
    const element = place.current;
    if (element === null || chosen === null) return;
    const at = tasks === null ? chosen - 1 : tasks.indexOf(chosen);
    if (at < 0) return;
    const top = at * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight)
      element.scrollTop = top + ROW - element.clientHeight;
  }, [chosen, wanted]);
  const chains = chainsOf(live.plan.peek());
  const lines = [];
  for (let at = seen.first; at <= seen.last; at += 1) {
    const task = tasks === null ? at + 1 : (tasks[at] ?? 0);
    lines.push(
      <TaskLine
        key={task}
        live={live}
        task={task}
        top={at * ROW}
        isChosen={task === chosen}
        isBehind={chains !== null && chains.firstOf(task) !== task}
        onChoose={() => onChoose(task)}
      />,
    );
  }
  return (
    <div class="listed">
      {wanted !== null && (
        <p class="described">
          {count.toLocaleString()} of {live.count.toLocaleString()} tasks: {wordOfCount(wanted as Stage)}{" "}
          <a href={withQuery({ tasks: null })}>Show all</a>
        </p>
      )}
      <section ref={place} class="task-list" tabIndex={0} aria-label="List of tasks">
        <ul style={{ height: `${count * ROW}px` }}>{lines}</ul>
      </section>
    </div>
  );
}

function TaskLine({
  live,
  task,
  top,
  isChosen,
  isBehind,
  onChoose,
}: {
  live: ShownFlow;
  task: number;
  top: number;
  isChosen: boolean;
  /** Of a chain an item that goes along the one in the line above. */
  isBehind: boolean;
  onChoose: () => void;
}) {
  const row = live.rows[task];
  if (row === undefined) return null;
  const stage = live.stage(task);
  const until = row.finishedMs ?? row.suspendedMs ?? (row.status === 1 ? now.value : null);
  const said = errorOf(row) ?? row.note ?? (row.ignoredBy === null ? "" : `by ${row.ignoredBy}`);
  return (
    <li class={isChosen ? "chosen" : undefined} style={{ top: `${top}px` }}>
      <button type="button" aria-current={isChosen ? "true" : undefined} onClick={onChoose}>
        <span class="number">{task}</span>
        <StatusMark stage={stage} />
        <bdi class={isBehind ? "name behind" : "name"}>{live.name(task)}</bdi>
        <bdi class="said">{said}</bdi>
        <span class="attempt">{row.attempt > 1 ? `×${row.attempt}` : ""}</span>
        <span class="took">
          {row.startedMs !== null && until !== null ? duration(until - row.startedMs) : ""}
        </span>
        <span class="at">{row.startedMs === null ? STAGE_WORDS[stage] : clock(row.startedMs)}</span>
      </button>
    </li>
  );
}

function errorOf({ error, message }: TaskRow): string | null {
  return error === null || message === null ? error : `${error}: ${message}`;
}
