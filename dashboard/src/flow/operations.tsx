// What can be done with a flow: asked once, with what will happen; it says what it did.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { act } from "../lib/api.ts";
import { bindKeys } from "../lib/keys.ts";
import { session } from "../lib/session.ts";
import { Dialog } from "../ui/dialog.tsx";
import { type DryRun, EffectList } from "./effects.tsx";
import type { LiveFlow } from "./live-flow.ts";

interface Operation {
  name: string;
  path: string;
  body: Record<string, unknown>;
  /** What it will do, in words; null: the server says it. */
  will: string | null;
}

/** The buttons of a flow, only those that fit how it stands; none for who may only read. */
export function Operations({ live, task }: { live: LiveFlow; task: number | null }) {
  const asked = useSignal<Operation | null>(null);
  const said = useSignal("");
  const all = operationsOf(live, task);
  const first = all[0];
  useEffect(() => {
    if (first === undefined || !session.value?.mayOperate) return;
    return bindKeys([{ keys: "r", what: first.name.toLowerCase(), run: () => (asked.value = first) }]);
  }, [first?.name, task, asked]);
  if (!session.value?.mayOperate) return null;
  return (
    <span class="operations">
      <span role="status" class="muted">
        {said.value}
      </span>
      {all.map((one) => (
        <button key={one.name} type="button" onClick={() => (asked.value = one)}>
          {one.name}
        </button>
      ))}
      {asked.value !== null && (
        <Ask
          live={live}
          operation={asked.value}
          onClose={() => (asked.value = null)}
          onDone={(words) => (said.value = words)}
        />
      )}
    </span>
  );
}

function operationsOf(live: LiveFlow, task: number | null): Operation[] {
  const flow = live.flow.value;
  if (flow === null) return [];
  const found: Operation[] = [];
  const row = task === null ? undefined : live.rows[task];
  const version = flow.version;
  if (task !== null && row !== undefined && (row.status === 2 || row.status === 3 || row.status === 9)) {
    found.push({
      name: "Rerun task",
      path: "rerun",
      body: { tasks: [task], scope: "dependents", version },
      will: null,
    });
  }
  if (flow.suspended > 0) {
    found.push({
      name: "Rerun failed",
      path: "rerun",
      body: { selection: "failed", version },
      will: null,
    });
  }
  if (flow.finishedMs === null) {
    const isPaused = flow.pausedMs !== null;
    found.push(
      isPaused
        ? { name: "Resume", path: "resume", body: { version }, will: "What is ready starts again." }
        : {
            name: "Pause",
            path: "pause",
            body: { version },
            will: "What runs goes on; nothing more starts.",
          },
      {
        name: "Cancel",
        path: "cancel",
        body: { version },
        will: null,
      },
    );
  }
  return found;
}

interface AskProps {
  live: LiveFlow;
  operation: Operation;
  onClose: () => void;
  onDone: (words: string) => void;
}

function Ask({ live, operation, onClose, onDone }: AskProps) {
  const problem = useSignal<string | null>(null);
  const isUnderWay = useSignal(false);
  const told = useSignal<DryRun | null>(null);
  const path = `flows/${encodeURIComponent(live.id)}/${operation.path}`;
  useEffect(() => {
    if (operation.will !== null) return;
    act<DryRun>(path, { ...operation.body, version: undefined, dryRun: true }).then(
      (answer) => (told.value = answer),
      (error: unknown) => (problem.value = error instanceof Error ? error.message : String(error)),
    );
  }, [path, operation, told, problem]);
  const run = async () => {
    isUnderWay.value = true;
    try {
      await act(path, { ...operation.body, ...(told.value && { version: told.value.version }) });
      onDone(`${operation.name}: done`);
      onClose();
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    }
    isUnderWay.value = false;
  };
  return (
    <Dialog title={operation.name} onClose={onClose}>
      {operation.will !== null && <p>{operation.will}</p>}
      {told.value !== null && <EffectList told={told.value} live={live} />}
      {problem.value !== null && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <div class="choices">
        <button type="button" onClick={onClose}>
          Leave it
        </button>
        <button
          type="button"
          class="strong"
          onClick={run}
          disabled={isUnderWay.value || (operation.will === null && told.value === null)}
        >
          {operation.name}
        </button>
      </div>
    </Dialog>
  );
}
