// What an operation would do to a flow, as the server says it before anything is done.
import { counted } from "../lib/counts.ts";
import type { WaitReason } from "../lib/types.ts";
import { waitWords } from "../lib/wait-words.ts";
import type { ShownFlow } from "./shown-flow.ts";

interface Effect {
  runs: number[];
  reopens: number[];
  askedAgain: number[];
  passedOver: number[];
  vanished: number[];
  matched: number[];
  cutOff: number[];
  cleanup: number[];
  within: number[];
  kept: number[];
  ready: number[];
  withdrawn: number[];
  runsOn: number[];
  awaits: number[];
  prioritised: number[];
  moved: number[];
  held: number[];
  givenUp: number[];
  heldUp: { tasks: number[]; reason: WaitReason }[];
  ends: boolean;
}

/** Tasks by number; ``version``: the flow's, for which it was told. */
export interface DryRun {
  version: number;
  effect: Effect;
  warnings?: string[];
  /** Of a fork to another version: what its tasks are called. */
  names?: Record<number, string>;
  tree?: { taskFlowId: string; operation: string; tasks: number[]; effect?: Effect }[];
  moreInTree?: number;
}

const MOST_NAMES = 8;

const OPERATIONS: Record<string, string> = {
  rerun: "Run again:",
  cancel: "Cancelled:",
  pause: "Paused: all",
  resume: "Resumed: all",
  priority: "Another priority: all",
  onFailure: "Told of its child: the task above, as its on_failure says,",
};

export function EffectList({ told, live }: { told: DryRun; live: ShownFlow }) {
  const { effect } = told;
  const name = (task: number) => told.names?.[task] ?? live.name(task);
  const parts: [number[], string][] = [
    [effect.runs, "will run again"],
    [effect.reopens, "that had been passed over will wait again"],
    [effect.askedAgain, "will be asked anew"],
    [effect.passedOver, "will be passed over"],
    [effect.vanished, "will vanish, as their maps are expanded anew"],
    [effect.matched, "will keep what those of its items came to that are the same again"],
    [effect.within, "will go on with their children, in which tasks run again"],
    [effect.cutOff, "will be cut off"],
    [effect.cleanup, "will clean up before the flow ends"],
    [effect.ready, "may start at once"],
    [effect.withdrawn, "might start, and must wait then"],
    [effect.runsOn, "run, and may end"],
    [effect.awaits, "await what comes all the same"],
    [effect.prioritised, "will have another priority"],
    [effect.moved, "move at once"],
  ];
  const said = parts.filter(([tasks]) => tasks.length > 0);
  return (
    <ul class="effect">
      {said.map(([tasks, words]) => (
        <li key={words}>
          {counted(tasks.length, "task")} {words}: <bdi>{named(name, tasks)}</bdi>
        </li>
      ))}
      {effect.heldUp.map(({ tasks, reason }) => (
        <li key={waitWords(reason)}>
          {counted(tasks.length, "task")} would start, but must wait: <bdi>{named(name, tasks)}</bdi>.{" "}
          {waitWords(reason)}
        </li>
      ))}
      {effect.kept.length > 0 && <li>{counted(effect.kept.length, "task")} stay as they ended.</li>}
      {said.length + effect.heldUp.length === 0 && !effect.ends && (
        <li>No task starts or stops because of it now.</li>
      )}
      {(told.tree ?? []).map((other) => (
        <li key={`${other.taskFlowId} ${other.operation}`}>
          {OPERATIONS[other.operation] ?? other.operation}
          {other.tasks.length > 0 && ` ${counted(other.tasks.length, "task")}`} of flow{" "}
          <bdi>{other.taskFlowId}</bdi>
          {other.effect?.heldUp.map(
            ({ tasks, reason }) => ` (${counted(tasks.length, "task")} must wait: ${waitWords(reason)})`,
          )}
        </li>
      ))}
      {told.moreInTree && <li>And {counted(told.moreInTree, "child flow")} more, with what is below.</li>}
      {effect.ends && <li>The flow ends with that.</li>}
      {(told.warnings ?? []).map((words) => (
        <li key={words}>{words}</li>
      ))}
    </ul>
  );
}

function named(name: (task: number) => string, tasks: number[]): string {
  const names = tasks.slice(0, MOST_NAMES).map(name);
  const more = tasks.length > MOST_NAMES ? ` and ${tasks.length - MOST_NAMES} more` : "";
  return `${names.join(", ")}${more}`;
}
