import type { Signal } from "@preact/signals";
import type { LiveFlow } from "./live-flow.ts";

const WAITS = ["@sleep", "@event", "@approval"];

/** Whether a rerun leaves what came of waits that have ended; asked where the flow has any. */
export function KeepAnswersField({ live, value }: { live: LiveFlow; value: Signal<boolean> }) {
  if (!live.plan.value?.programs.some((program) => WAITS.includes(program))) return null;
  return <KeepAnswers value={value} />;
}

export function KeepAnswers({ value }: { value: Signal<boolean> }) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={value.value}
        onChange={(event) => (value.value = event.currentTarget.checked)}
      />
      <span>waits that have ended keep what came of them</span>
    </label>
  );
}
