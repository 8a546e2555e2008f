// What was done last on a screen, and how to undo it where the engine can.
import { type Signal, useSignal } from "@preact/signals";
import { wordsOf } from "../lib/answers.ts";

export interface SaidWords {
  words: string;
  undo: (() => Promise<void>) | null;
}

export function useSaid(): Signal<SaidWords | null> {
  return useSignal<SaidWords | null>(null);
}

export function Said({ said }: { said: Signal<SaidWords | null> }) {
  const undo = said.value?.undo;
  const run = async () => {
    try {
      await undo?.();
      said.value = { words: "Undone", undo: null };
    } catch (error) {
      said.value = { words: wordsOf(error), undo: null };
    }
  };
  return (
    <>
      <span role="status" class="muted said-words">
        {said.value?.words}
      </span>
      {undo && (
        <button type="button" class="link" onClick={run}>
          Undo
        </button>
      )}
    </>
  );
}
