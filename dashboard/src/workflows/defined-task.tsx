import { JsonView } from "../ui/json-view.tsx";
import type { DefinedFlow } from "./defined-flow.ts";

interface Props {
  flow: DefinedFlow;
  task: number;
  onClose: () => void;
}

/** What the definition says of a task. */
export function DefinedTask({ flow, task, onClose }: Props) {
  const found = flow.tasks[task - 1];
  if (found === undefined) return null;
  const { taskSeq, taskName: _name, program, parameters = {}, ...more } = found;
  const others = Object.entries(more).filter(([, value]) => value !== null && value !== undefined);
  return (
    <aside class="pane" aria-label={flow.name(task)}>
      <div class="pane-head">
        <h2>
          <bdi>{flow.name(task)}</bdi>
        </h2>
        <span class="grow" />
        <button type="button" class="quiet" onClick={onClose} aria-label="Close the task">
          ✕
        </button>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="pane-body" role="region" aria-label="What is defined" tabIndex={0}>
        <dl class="facts">
          <dt>Program</dt>
          <dd>
            <bdi>{program}</bdi>
          </dd>
          <dt>taskSeq</dt>
          <dd>{taskSeq}</dd>
        </dl>
        {Object.keys(parameters).length > 0 && (
          <section>
            <h3>Parameters</h3>
            <JsonView value={parameters} />
          </section>
        )}
        {others.length > 0 && (
          <section>
            <h3>How it runs</h3>
            <JsonView value={Object.fromEntries(others)} />
          </section>
        )}
      </div>
    </aside>
  );
}
