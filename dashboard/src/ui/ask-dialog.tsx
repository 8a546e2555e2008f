// Asks once whether something is to be done; what the server says against it stands in the dialog.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { wordsOf } from "../lib/answers.ts";
import { Dialog } from "./dialog.tsx";
import { ProblemLine } from "./problem-line.tsx";

interface Props {
  title: string;
  /** What the button says that does it. */
  verb: string;
  run: () => Promise<void>;
  onClose: () => void;
  isReady?: boolean;
  children?: ComponentChildren;
}

export function AskDialog({ title, verb, run, onClose, isReady = true, children }: Props) {
  const problem = useSignal<string | null>(null);
  const isUnderWay = useSignal(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!isReady || isUnderWay.value) return;
    isUnderWay.value = true;
    try {
      await run();
      onClose();
    } catch (error) {
      problem.value = wordsOf(error);
    }
    isUnderWay.value = false;
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit} noValidate>
        {children}
        <ProblemLine words={problem.value} />
        <div class="choices">
          <button type="button" onClick={onClose}>
            Leave it
          </button>
          <button type="submit" class="strong" disabled={!isReady || isUnderWay.value}>
            {verb}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
