// Paints a Gantt chart: three heights for what a task does (waits, is about to, runs), and colours of the page.
// Rows that are too low for that are summed up (gantt-density.ts).
import type { Stage } from "../lib/statuses.ts";
import { duration } from "../lib/times.ts";
import { coloursOf, shortened } from "../ui/painting.ts";
import { densityOf } from "./gantt-density.ts";
import { ganttRowsOf } from "./gantt-rows.ts";
import { AXIS, gutterOf, marksOf, namedOf, timesOf, xOf, yOf } from "./gantt-view.ts";
import { eachLivePart } from "./live-parts.ts";
import type { PaintedGantt } from "./painted-gantt.ts";

export const DENSE = 3; // pixels a row: lower ones are summed up

export function paintGantt(canvas: HTMLCanvasElement, painted: PaintedGantt): void {
  const context = canvas.getContext("2d");
  if (context === null) return;
  const { size, view, timeline, atMs } = painted;
  const ratio = devicePixelRatio;
  const width = Math.round(size.width * ratio);
  const height = Math.round(size.height * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const colours = coloursOf(canvas);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size.width, size.height);
  context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  paintAxis(context, painted, colours);
  context.save();
  context.beginPath();
  context.rect(0, AXIS, size.width, size.height - AXIS);
  context.clip();
  paintPauses(context, painted, colours);
  if (view.row >= DENSE) paintRows(context, painted, colours);
  else {
    context.imageSmoothingEnabled = false;
    context.drawImage(canvasOf(densityOf(painted, colours)), 0, AXIS, size.width, size.height - AXIS);
    if (painted.chosen !== null) {
      context.fillStyle = colours("accent");
      const row = ganttRowsOf(painted.shown).rowOf(painted.chosen);
      context.fillRect(0, yOf(view, row) - 0.5, size.width, Math.max(1.5, view.row));
    }
  }
  paintNames(context, painted, colours);
  context.restore();
  if (atMs !== null) {
    const x = Math.round(xOf(view, size, Math.max(atMs, timeline.beginMs))) + 0.5;
    context.strokeStyle = colours("accent");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, size.height);
    context.stroke();
  }
}

type Colours = (name: string) => string;

function paintAxis(context: CanvasRenderingContext2D, painted: PaintedGantt, colours: Colours): void {
  const { view, size, timeline } = painted;
  context.lineWidth = 1;
  context.fillStyle = colours("muted");
  context.strokeStyle = colours("line");
  context.beginPath();
  for (const ms of marksOf(view, size, timeline.beginMs)) {
    const x = Math.round(xOf(view, size, timeline.beginMs + ms)) + 0.5;
    if (x < gutterOf(size.width)) continue;
    context.moveTo(x, AXIS - 6);
    context.lineTo(x, size.height);
    const words = ms === 0 ? "0" : duration(ms);
    if (x + 4 + context.measureText(words).width < size.width) context.fillText(words, x + 4, AXIS / 2);
  }
  context.moveTo(0, AXIS - 0.5);
  context.lineTo(size.width, AXIS - 0.5);
  context.stroke();
}

/** How high a stage is painted, as a share of the row; 0: not at all. */
const HEIGHTS: Partial<Record<Stage, number>> = {
  waiting: 0.1,
  ready: 0.32,
  retry: 0.32,
  awaiting: 0.32,
  running: 0.68,
  suspended: 0.2,
};
const ENDS: Stage[] = ["finished", "ignored", "nottaken", "cancelled", "givenup"];

function paintRows(context: CanvasRenderingContext2D, painted: PaintedGantt, colours: Colours): void {
  const { view, size, timeline, shown, chosen, nowMs } = painted;
  const left = gutterOf(size.width);
  const [first, last] = seenOf(painted);
  const xAt = timesOf(view, size);
  const rows = ganttRowsOf(shown);
  const chosenRow = chosen === null ? 0 : rows.rowOf(chosen);
  for (let row = first; row <= last; row += 1) {
    const y = yOf(view, row);
    if (row === chosenRow) {
      context.fillStyle = colours("chosen");
      context.fillRect(0, y, size.width, view.row);
    }
    const middle = y + view.row / 2;
    const paint = (stage: Stage, from: number, until: number | null) => {
      const x = Math.max(left, xAt(from));
      if (ENDS.includes(stage)) {
        if (until !== null || x > size.width) return; // it was tried again: only the last end is marked
        context.fillStyle = colours(stage);
        context.fillRect(x - 1, middle - view.row * 0.34, 2.5, view.row * 0.68);
        return;
      }
      const to = Math.min(size.width, xAt(until ?? nowMs));
      if (to < left || x > size.width) return;
      const high = Math.max(1, view.row * (HEIGHTS[stage] ?? 0.1));
      context.fillStyle = colours(stage === "waiting" ? "edge" : stage);
      context.fillRect(x, middle - high / 2, Math.max(1, to - x), high);
    };
    eachLivePart(shown, timeline, rows.firstOf(row), paint);
    for (const task of rows.othersOf(row)) {
      eachLivePart(shown, timeline, task, (stage, from, until) => {
        if (stage !== "waiting") paint(stage, from, until); // meanwhile the one before goes on
      });
    }
  }
}

/** The first and the last row that are seen. */
function seenOf({ view, size, shown }: PaintedGantt): [number, number] {
  const rows = (size.height - AXIS) / view.row;
  return [
    Math.max(1, Math.floor(view.top) + 1),
    Math.min(ganttRowsOf(shown).count, Math.ceil(view.top + rows) + 1),
  ];
}

/** Names of so many rows as there is space for; that of the chosen one in any case. */
function paintNames(context: CanvasRenderingContext2D, painted: PaintedGantt, colours: Colours): void {
  const { view, size, shown, chosen } = painted;
  const space = gutterOf(size.width) - 16;
  const every = namedOf(view);
  const [first, last] = seenOf(painted);
  const rows = ganttRowsOf(shown);
  const chosenRow = chosen === null ? null : rows.rowOf(chosen);
  const write = (row: number, colour: string) => {
    context.fillStyle = colours(colour);
    const y = Math.max(AXIS + 7, yOf(view, row) + view.row / 2); // the first one stands whole
    context.fillText(shortened(context, rows.nameOf(shown, row), space), 8, y + 0.5);
  };
  const begin = 1 + every * Math.ceil((first - 1) / every);
  for (let row = begin; row <= last; row += every) {
    if (chosenRow === null || Math.abs(row - chosenRow) >= every) write(row, every > 1 ? "muted" : "text");
  }
  if (chosenRow !== null) write(chosenRow, "accent");
}

function paintPauses(context: CanvasRenderingContext2D, painted: PaintedGantt, colours: Colours): void {
  const { view, size, timeline, nowMs } = painted;
  context.fillStyle = colours("paused");
  context.globalAlpha = 0.1;
  timeline.eachPart(0, (stage, from, until) => {
    if (stage !== "paused") return;
    const x = Math.max(gutterOf(size.width), xOf(view, size, from));
    context.fillRect(x, AXIS, Math.max(1, xOf(view, size, until ?? nowMs) - x), size.height);
  });
  context.globalAlpha = 1;
}

/** A picture that can be painted larger than it is. */
function canvasOf(image: ImageData): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}
