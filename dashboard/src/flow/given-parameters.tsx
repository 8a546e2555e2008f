import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { replaceQuery } from "../lib/route.ts";
import type { TaskDetail } from "../lib/types.ts";
import { JsonView } from "../ui/json-view.tsx";
import { type Origin, originsOf } from "./origins.ts";
import type { ShownFlow } from "./shown-flow.ts";

/** What a task was given, each value with where it came from. */
export function GivenParameters({ detail, live }: { detail: TaskDetail; live: ShownFlow }) {
  const origins = useSignal<Map<string, Origin>>(new Map());
  const plan = live.plan.value;
  useEffect(() => {
    let isOver = false;
    if (plan === null) return;
    originsOf(plan, detail).then(
      (found) => {
        if (!isOver) origins.value = found;
      },
      () => undefined, // without it the values are shown all the same
    );
    return () => {
      isOver = true;
    };
  }, [plan, detail, origins]);
  const all = Object.entries((detail.parameters ?? {}) as Record<string, unknown>);
  // The versions of a sub-flow are written there when its flow begins, and say nothing to people.
  const given = detail.program === "@flow" ? all.filter(([name]) => !name.startsWith("version")) : all;
  if (given.length === 0) return null;
  return (
    <section>
      <h3>Parameters</h3>
      {given.map(([name, value]) => (
        <div key={name} class="given">
          <JsonView name={name} value={value} />
          <From origin={origins.value.get(name)} live={live} />
        </div>
      ))}
    </section>
  );
}

function From({ origin, live }: { origin: Origin | undefined; live: ShownFlow }) {
  if (origin === undefined) return null;
  return (
    <span class="origin">
      {origin.words}
      {origin.results.map((name) => (
        <button key={name} type="button" class="link" onClick={() => open(live, name)}>
          <bdi>{name}</bdi>
        </button>
      ))}
    </span>
  );
}

/** References name tasks as definitions do: by name, or by taskSeq, which is the number where rows have no gaps. */
function open(live: ShownFlow, name: string): void {
  const named = live.plan.peek()?.names.indexOf(name) ?? -1;
  const task = named >= 0 ? named + 1 : Number(name);
  if (task >= 1 && task <= live.count) replaceQuery({ task });
}
