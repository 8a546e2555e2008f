// What was done last on a screen, and how to undo it where the engine can.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { wordsOf } from "../lib/answers.ts";

export interface SaidWords {
  words: string;
  /** May say how far it went. */
  undo: (() => Promise<unknown>) | null;
}

const left: { words: SaidWords | null } = { words: null };

/** For the screen that comes next: the one on which it was done is left, as what it showed is gone. */
export function leaveSaid(words: SaidWords): void {
  left.words = words;
}

export function useSaid(): Signal<SaidWords | null> {
  const said = useSignal<SaidWords | null>(null);
  useEffect(() => {
    if (left.words !== null) said.value = left.words;
    left.words = null;
  }, [said]);
  return said;
}

export function Said({ said }: { said: Signal<SaidWords | null> }) {
  const undo = said.value?.undo;
  const run = async () => {
    try {
      const words = await undo?.();
      said.value = { words: typeof words === "string" ? words : "Undone", undo: null };
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
