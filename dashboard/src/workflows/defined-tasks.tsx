// The tasks of a definition as a list; of a long one only what is seen is in the page.
import { useEffect, useRef } from "preact/hooks";
import { useSeenRows } from "../ui/seen-rows.ts";
import type { DefinedFlow } from "./defined-flow.ts";
import type { TaskDocument } from "./workflow-types.ts";

const ROW = 30;

interface Props {
  flow: DefinedFlow;
  chosen: number | null;
  onChoose: (task: number | null) => void;
}

export function DefinedTasks({ flow, chosen, onChoose }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const { first, last } = useSeenRows(place, ROW, flow.count);
  useEffect(() => {
    const element = place.current;
    if (element === null || chosen === null) return;
    const top = (chosen - 1) * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight)
      element.scrollTop = top + ROW - element.clientHeight;
  }, [chosen]);
  const rows = flow.tasks.slice(first, last + 1);
  return (
    <div class="task-list defined scroll" ref={place}>
      <ul style={{ height: `${flow.count * ROW}px` }}>
        {rows.map((task, index) => {
          const number = first + index + 1;
          return (
            <li
              key={number}
              class={number === chosen ? "chosen" : undefined}
              style={{ top: `${(number - 1) * ROW}px` }}
            >
              <button type="button" onClick={() => onChoose(number === chosen ? null : number)}>
                <span class="number">{task.taskSeq}</span>
                <bdi>{flow.name(number)}</bdi>
                <bdi class="said">{task.program}</bdi>
                <bdi class="said">{saidOf(task)}</bdi>
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function saidOf(task: TaskDocument): string {
  const parts: string[] = [];
  if (task.queue && task.queue !== "default") parts.push(`queue ${task.queue}`);
  if (task.rule && task.rule !== "ready") parts.push(`rule ${task.rule}`);
  if (task.onFailure && task.onFailure !== "hold") parts.push(`on failure ${task.onFailure}`);
  if (task.retry) parts.push(`${task.retry.maxAttempts} attempts`);
  if (task.timeoutSeconds) parts.push(`at most ${task.timeoutSeconds} s`);
  if (task.dependsOn && task.dependsOn.length > 0) parts.push(`behind ${task.dependsOn.join(", ")}`);
  return parts.join(" · ");
}
