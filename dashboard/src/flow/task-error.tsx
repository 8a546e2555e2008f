import type { TaskError } from "../lib/types.ts";
import { CopyButton } from "../ui/copy-button.tsx";

/** An error with its traceback; `isPast`: of an attempt before. */
export function TaskErrorView({ error, isPast }: { error: TaskError; isPast: boolean }) {
  return (
    <section class={isPast ? "error past" : "error"} aria-label="Error">
      <h3>
        <bdi>{error.type}</bdi>
        {isPast && <span class="muted"> (an attempt before)</span>}
        <CopyButton text={error.traceback || `${error.type}: ${error.message}`} what="the error" />
      </h3>
      <p class="message">{error.message}</p>
      {error.traceback && (
        <details open={!isPast}>
          <summary>Traceback</summary>
          <pre tabIndex={0}>{error.traceback}</pre>
        </details>
      )}
    </section>
  );
}
