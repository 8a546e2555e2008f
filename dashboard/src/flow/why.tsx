import { shortId } from "../lib/paths.ts";
import { hrefOf, replaceQuery } from "../lib/route.ts";
import type { WaitReason } from "../lib/types.ts";
import { waitWords } from "../lib/wait-words.ts";
import { StatusMark } from "../ui/status-mark.tsx";
import { placeOfWait } from "./held-by.ts";
import type { ShownFlow } from "./shown-flow.ts";

const MOST = 20;

/** Names of tasks that lead to them. */
export function TaskLinks({ tasks, live }: { tasks: readonly number[]; live: ShownFlow }) {
  return (
    <div class="links">
      {tasks.slice(0, MOST).map((task) => (
        <button key={task} type="button" class="link" onClick={() => replaceQuery({ task })}>
          <StatusMark stage={live.stage(task)} /> <bdi>{live.name(task)}</bdi>
        </button>
      ))}
      {tasks.length > MOST && <span class="muted">and {tasks.length - MOST} more</span>}
    </div>
  );
}

/** Why a task waits, with links to what it waits for, and to where that is changed. */
export function Why({ live, task, why }: { live: ShownFlow; task: number; why: WaitReason }) {
  const place = placeOfWait(live, task, why);
  const tasks = (why.dependsOn ?? why.failedItems ?? []) as number[];
  const flows = (why.heldBy ?? []) as string[];
  return (
    <section class="why" aria-label="Why it waits">
      <p>{waitWords(why)}</p>
      <TaskLinks tasks={tasks} live={live} />
      <div class="links">
        {flows.map((flow) => (
          <a key={flow} href={hrefOf(["flows", flow])}>
            {shortId(flow)}
          </a>
        ))}
        {place !== null && <a href={place[0]}>{place[1]}</a>}
      </div>
    </section>
  );
}
