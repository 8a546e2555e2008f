// Copies a text, and says so.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { wordsOf } from "../lib/answers.ts";
import { copyText } from "../lib/copying.ts";

const SAID_MS = 2_000;

/** `what`: what is copied, for who hears the button. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const said = useSignal<string | null>(null);
  useEffect(() => {
    if (said.value === null) return;
    const timer = setTimeout(() => (said.value = null), SAID_MS);
    return () => clearTimeout(timer);
  }, [said.value]);
  const copy = async () => {
    try {
      await copyText(text);
      said.value = "Copied";
    } catch (error) {
      said.value = wordsOf(error);
    }
  };
  return (
    <button type="button" class="link copy" aria-label={`Copy ${what}`} onClick={copy}>
      <span role="status">{said.value ?? "Copy"}</span>
    </button>
  );
}
