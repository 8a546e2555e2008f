// The Gantt chart, and above it how much went on; both are made from the timeline, read once they are opened.
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { endOf, GanttCanvas } from "./gantt-canvas.tsx";
import type { LiveFlow } from "./live-flow.ts";
import type { LoadChart } from "./load-chart.tsx";
import type { PastFlow } from "./past-flow.ts";

interface Props {
  live: LiveFlow;
  past: PastFlow | null;
  chosen: number | null;
  onChoose: (task: number | null) => void;
}

type Chart = ComponentType<Parameters<typeof LoadChart>[0]>;

export function Gantt({ live, past, chosen, onChoose }: Props) {
  const chart = useSignal<Chart | null>(null);
  useEffect(() => {
    live.wantTimeline();
    import("./load-chart.tsx").then(
      (module) => (chart.value = module.LoadChart),
      (error: unknown) => console.error(error), // it is an extra: the Gantt chart says the same
    );
  }, [live, chart]);
  const timeline = live.timeline.value;
  if (timeline === null) return <p class="muted reading">Reading its history…</p>;
  const Load = chart.value;
  const endMs = endOf(live, timeline);
  return (
    <div class="gantt-pane">
      {Load !== null && <Load timeline={timeline} endMs={endMs} />}
      <GanttCanvas live={live} past={past} timeline={timeline} chosen={chosen} onChoose={onChoose} />
    </div>
  );
}
