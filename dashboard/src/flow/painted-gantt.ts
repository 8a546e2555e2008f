// What a Gantt chart is painted of.
import type { Size } from "../ui/place-size.ts";
import type { GanttView } from "./gantt-view.ts";
import type { ShownFlow } from "./shown-flow.ts";
import type { Timeline } from "./timeline.ts";

export interface PaintedGantt {
  shown: ShownFlow;
  timeline: Timeline;
  view: GanttView;
  chosen: number | null;
  nowMs: number;
  /** The moment that is shown; null: now. */
  atMs: number | null;
  size: Size;
}
