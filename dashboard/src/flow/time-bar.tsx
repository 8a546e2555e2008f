// The slider under all panes: back to any event of the flow, and on to now.
import { replaceQuery, route } from "../lib/route.ts";
import { duration, iso, moment } from "../lib/times.ts";
import { useKeys } from "../ui/use-keys.ts";
import type { LiveFlow } from "./live-flow.ts";
import type { PastFlow } from "./past-flow.ts";

const MOST_NAMES = 3;

export function TimeBar({ live, past }: { live: LiveFlow; past: PastFlow | null }) {
  const timeline = live.timeline.value;
  const isWanted = live.isTimelineWanted.value;
  const steps = timeline?.steps ?? 1;
  const step = past?.step ?? steps - 1;
  const to = (next: number) => {
    const position = timeline?.columns.positions[Math.max(0, next)];
    replaceQuery({ at: next >= steps - 1 || position === undefined ? null : position });
  };
  const begin = (by: number) => {
    if (timeline === null) live.wantTimeline();
    else to(step + by);
  };
  useKeys([
    { keys: ",", what: "one event back in time", run: () => begin(-1) },
    { keys: ".", what: "one event on", run: () => begin(1) },
  ]);
  if (timeline === null) {
    return (
      <div class="time-bar">
        <button type="button" class="quiet" onClick={() => live.wantTimeline()} disabled={isWanted}>
          {isWanted ? "Reading its history…" : "Go back in time  ( , )"}
        </button>
      </div>
    );
  }
  const moved = past === null ? [] : timeline.movedIn(step);
  const names = moved.slice(0, MOST_NAMES).map((task) => `${live.name(task)}: ${wordOf(past, task)}`);
  return (
    <div class={past === null ? "time-bar" : "time-bar past"}>
      <button type="button" onClick={() => to(step - 1)} disabled={step === 0} aria-label="One event back">
        ‹
      </button>
      <input
        type="range"
        min={0}
        max={steps - 1}
        value={step}
        aria-label="Moment"
        aria-valuetext={past === null ? "now" : iso(past.ms)}
        onInput={(event) => to(Number(event.currentTarget.value))}
      />
      <button
        type="button"
        onClick={() => to(step + 1)}
        disabled={past === null}
        aria-label="One event further"
      >
        ›
      </button>
      <span class="at" title={past === null ? undefined : iso(past.ms)}>
        {past === null ? (
          "Now"
        ) : (
          <>
            {moment(past.ms)} <span class="muted">+{duration(past.ms - timeline.beginMs)}</span>
          </>
        )}
      </span>
      <bdi class="muted what">
        {names.join(", ")}
        {moved.length > MOST_NAMES && ` and ${moved.length - MOST_NAMES} more`}
      </bdi>
      <span class="grow" />
      {past !== null && route.value.query.get("view") !== "compare" && (
        <button
          type="button"
          class="compare-now"
          onClick={() => replaceQuery({ view: "compare", with: null })}
        >
          Compare with now
        </button>
      )}
      {past !== null && (
        <button type="button" class="strong" onClick={() => replaceQuery({ at: null })}>
          Back to now
        </button>
      )}
    </div>
  );
}

function wordOf(past: PastFlow | null, task: number): string {
  return past === null ? "" : past.word(task);
}
