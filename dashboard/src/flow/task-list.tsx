// The tasks of a flow as a list, of which only what is seen is in the page, however many there are.
import { useEffect, useRef } from "preact/hooks";
import { STAGE_WORDS } from "../lib/statuses.ts";
import { clock, duration, now } from "../lib/times.ts";
import { useSeenRows } from "../ui/seen-rows.ts";
import { StatusMark } from "../ui/status-mark.tsx";
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
  const seen = useSeenRows(place, ROW, live.count);
  useEffect(() => {
    const element = place.current;
    if (element === null || chosen === null) return;
    const top = (chosen - 1) * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight)
      element.scrollTop = top + ROW - element.clientHeight;
  }, [chosen]);
  const lines = [];
  for (let task = seen.first + 1; task <= seen.last + 1; task += 1) {
    lines.push(
      <TaskLine
        key={task}
        live={live}
        task={task}
        isChosen={task === chosen}
        onChoose={() => onChoose(task)}
      />,
    );
  }
  return (
    <section ref={place} class="task-list" tabIndex={0} aria-label="List of tasks">
      <ul style={{ height: `${live.count * ROW}px` }}>{lines}</ul>
    </section>
  );
}

function TaskLine({
  live,
  task,
  isChosen,
  onChoose,
}: {
  live: ShownFlow;
  task: number;
  isChosen: boolean;
  onChoose: () => void;
}) {
  const row = live.rows[task];
  if (row === undefined) return null;
  const stage = live.stage(task);
  const until = row.finishedMs ?? row.suspendedMs ?? (row.status === 1 ? now.value : null);
  const said = row.error ?? row.note ?? (row.ignoredBy === null ? "" : `by ${row.ignoredBy}`);
  return (
    <li class={isChosen ? "chosen" : undefined} style={{ top: `${(task - 1) * ROW}px` }}>
      <button type="button" aria-current={isChosen ? "true" : undefined} onClick={onChoose}>
        <span class="number">{task}</span>
        <StatusMark stage={stage} />
        <bdi class="name">{live.name(task)}</bdi>
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
