// What a task went through, as its timeline has it and, behind that, its row: the timeline is asked for less often
// than rows come.
import type { ShownFlow } from "./shown-flow.ts";
import type { Part, Timeline } from "./timeline.ts";

/** Visits each part in order. */
export function eachLivePart(shown: ShownFlow, timeline: Timeline, task: number, visit: Part): void {
  const row = shown.at === null ? shown.rows[task] : undefined;
  if (row === undefined) {
    timeline.eachPart(task, visit);
    return;
  }
  timeline.eachPart(task, (stage, from, until) => {
    if (until !== null) {
      visit(stage, from, until);
      return;
    }
    const now = shown.stage(task);
    const moved = row.finishedMs ?? row.suspendedMs ?? row.startedMs;
    if (now === stage || moved === null || moved < from) {
      visit(stage, from, null);
      return;
    }
    const started = row.startedMs;
    if (stage !== "running" && now !== "running" && started !== null && started > from && started < moved) {
      visit(stage, from, started);
      visit("running", started, moved);
    } else {
      visit(stage, from, moved);
    }
    visit(now, moved, null);
  });
}
