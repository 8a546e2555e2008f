// Asks once whether an operation is to be done, with its exact effect as the server says it for this body.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { act } from "../lib/api.ts";
import { Dialog } from "../ui/dialog.tsx";
import { type DryRun, EffectList } from "./effects.tsx";
import type { LiveFlow } from "./live-flow.ts";
import type { Operation, Undo } from "./operation-list.ts";

export interface FormProps {
  live: LiveFlow;
  operation: Operation;
  onClose: () => void;
  onDone: (words: string, undo: Undo | null) => void;
}

export interface Answer {
  taskFlowId?: string;
  tasks?: number[];
  warnings?: string[];
}

interface Props extends FormProps {
  /** What is sent; null: what was written cannot be sent yet. */
  body: Record<string, unknown> | null;
  children?: ComponentChildren;
  onAnswer?: (answer: Answer) => void;
}

const SETTLE_MS = 250;

export function OperationDialog({ live, operation, body, children, onClose, onDone, onAnswer }: Props) {
  const problem = useSignal<string | null>(null);
  const isUnderWay = useSignal(false);
  const told = useSignal<DryRun | null>(null);
  const path = `flows/${encodeURIComponent(live.id)}/${operation.path}`;
  const sent = JSON.stringify(body);
  useEffect(() => {
    told.value = null;
    problem.value = null;
    if (body === null) return;
    const ask = () =>
      act<DryRun>(path, { ...body, version: undefined, dryRun: true }).then(
        (answer) => (told.value = answer),
        (error: unknown) => (problem.value = error instanceof Error ? error.message : String(error)),
      );
    const timer = setTimeout(ask, told.peek() === null && problem.peek() === null ? 0 : SETTLE_MS);
    return () => clearTimeout(timer);
  }, [path, sent]);
  const run = async () => {
    isUnderWay.value = true;
    try {
      // What says no version is done as the flow stands by then: others may go on with it meanwhile.
      const seen = body !== null && "version" in body && told.value !== null;
      const answer = await act<Answer>(path, { ...body, ...(seen && { version: told.value?.version }) });
      const warnings = answer?.warnings?.length ? ` (${answer.warnings.join("; ")})` : "";
      onDone(`${operation.name}: done${warnings}`, operation.undo);
      onClose();
      onAnswer?.(answer);
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    }
    isUnderWay.value = false;
  };
  // What names a version needs the answer for it; all else is done also where nobody can say what it would do.
  const isAnswered = told.value !== null || (problem.value !== null && body !== null && !("version" in body));
  return (
    <Dialog title={operation.name} onClose={onClose}>
      {children}
      {told.value === null && problem.value === null && body !== null && (
        <p class="muted">Asking what it would do…</p>
      )}
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
          disabled={isUnderWay.value || body === null || !isAnswered}
        >
          {operation.name}
        </button>
      </div>
    </Dialog>
  );
}
