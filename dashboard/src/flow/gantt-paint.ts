// Paints a Gantt chart: three heights for what a task does (waits, is about to, runs), and colours of the page.
// Where rows are lower than a pixel or two, it paints how many of those in a pixel do what.
import type { Stage } from "../lib/statuses.ts";
import { duration } from "../lib/times.ts";
import { coloursOf, shortened } from "../ui/painting.ts";
import type { Size } from "../ui/place-size.ts";
import { AXIS, type GanttView, gutterOf, marksOf, xOf, yOf } from "./gantt-view.ts";
import type { ShownFlow } from "./shown-flow.ts";
import type { Timeline } from "./timeline.ts";

export const DENSE = 3; // pixels a row: lower ones are summed up

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
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  if (view.row < DENSE) paintDensity(context, painted, colours, ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  paintAxis(context, painted, colours);
  if (view.row >= DENSE) paintRows(context, painted, colours);
  else if (painted.chosen !== null) {
    context.fillStyle = colours("accent");
    context.fillRect(0, yOf(view, painted.chosen) - 0.5, size.width, Math.max(1.5, view.row));
  }
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
    if (x < gutterOf(view, size)) continue;
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
  const left = gutterOf(view, size);
  const first = Math.max(1, Math.floor(view.top) + 1);
  const last = Math.min(shown.count, Math.ceil(view.top + (size.height - AXIS) / view.row) + 1);
  context.save();
  context.beginPath();
  context.rect(0, AXIS, size.width, size.height - AXIS);
  context.clip();
  paintPauses(context, painted, colours);
  for (let task = first; task <= last; task += 1) {
    const y = yOf(view, task);
    if (task === chosen) {
      context.fillStyle = colours("chosen");
      context.fillRect(0, y, size.width, view.row);
    }
    const middle = y + view.row / 2;
    let endedAt: [Stage, number] | null = null;
    for (const [stage, from, until] of liveParts(shown, timeline, task)) {
      const x = Math.max(left, xOf(view, size, from));
      if (ENDS.includes(stage)) {
        endedAt = [stage, x];
        continue;
      }
      endedAt = null;
      const to = Math.min(size.width, xOf(view, size, until ?? nowMs));
      if (to < left || x > size.width) continue;
      const high = Math.max(1, view.row * (HEIGHTS[stage] ?? 0.1));
      context.fillStyle = colours(stage === "waiting" ? "edge" : stage);
      context.fillRect(x, middle - high / 2, Math.max(1, to - x), high);
    }
    if (endedAt !== null && endedAt[1] >= left && endedAt[1] <= size.width) {
      context.fillStyle = colours(endedAt[0]);
      context.fillRect(endedAt[1] - 1, middle - view.row * 0.34, 2.5, view.row * 0.68);
    }
    if (left > 0) {
      context.fillStyle = colours(task === chosen ? "accent" : "text");
      context.fillText(shortened(context, shown.name(task), left - 16), 8, middle + 0.5);
    }
  }
  context.restore();
}

function paintPauses(context: CanvasRenderingContext2D, painted: PaintedGantt, colours: Colours): void {
  const { view, size, timeline, nowMs } = painted;
  context.fillStyle = colours("paused");
  context.globalAlpha = 0.1;
  for (const [stage, from, until] of timeline.parts(0)) {
    if (stage !== "paused") continue;
    const x = Math.max(gutterOf(view, size), xOf(view, size, from));
    context.fillRect(x, AXIS, Math.max(1, xOf(view, size, until ?? nowMs) - x), size.height);
  }
  context.globalAlpha = 1;
}

/** What a task went through, as its timeline has it and, behind that, its row: the timeline is asked for less
    often than rows come. */
export function* liveParts(
  shown: ShownFlow,
  timeline: Timeline,
  task: number,
): Generator<[Stage, number, number | null]> {
  const row = shown.at === null ? shown.rows[task] : undefined;
  const now = row === undefined ? null : shown.stage(task);
  for (const [stage, from, until] of timeline.parts(task)) {
    if (until !== null || row === undefined || now === null || now === stage) {
      yield [stage, from, until];
      continue;
    }
    const moved = row.finishedMs ?? row.suspendedMs ?? row.startedMs;
    if (moved === null || moved < from) {
      yield [stage, from, null];
      return;
    }
    const started = row.startedMs;
    if (stage !== "running" && now !== "running" && started !== null && started > from && started < moved) {
      yield [stage, from, started];
      yield ["running", started, moved];
    } else {
      yield [stage, from, moved];
    }
    yield [now, moved, null];
  }
}

const CLASSES: Partial<Record<Stage, number>> = {
  waiting: 0,
  ready: 1,
  awaiting: 1,
  running: 2,
  retry: 3,
  suspended: 4,
};
const CLASS_COLOURS = ["edge", "ready", "running", "retry", "suspended"];
const CLASS_WEIGHTS = [0.25, 0.7, 1, 1.4, 2.5]; // what should be seen among many is

function paintDensity(
  context: CanvasRenderingContext2D,
  painted: PaintedGantt,
  colours: Colours,
  ratio: number,
): void {
  const { view, size, timeline, shown, nowMs } = painted;
  const width = Math.max(1, Math.round(size.width));
  const height = Math.max(1, Math.round(size.height - AXIS));
  const sums = CLASS_COLOURS.map(() => new Float32Array((width + 1) * height));
  for (let task = 1; task <= shown.count; task += 1) {
    const y = Math.floor((task - 1 - view.top) * view.row);
    const high = Math.max(1, Math.floor(view.row));
    if (y + high <= 0 || y >= height) continue;
    for (const [stage, from, until] of liveParts(shown, timeline, task)) {
      const sum = sums[CLASSES[stage] ?? -1];
      if (sum === undefined) continue;
      const x = Math.max(0, Math.floor(xOf(view, size, from)));
      const to = Math.min(width - 1, Math.floor(xOf(view, size, until ?? nowMs)));
      if (x >= width || to < 0) continue;
      for (let line = Math.max(0, y); line < Math.min(height, y + high); line += 1) {
        const at = line * (width + 1);
        sum[at + x] = (sum[at + x] ?? 0) + 1;
        sum[at + to + 1] = (sum[at + to + 1] ?? 0) - 1;
      }
    }
  }
  const image = mixed(sums, width, height, Math.max(1, 1 / view.row), CLASS_COLOURS.map(colours));
  const place = document.createElement("canvas");
  place.width = width;
  place.height = height;
  place.getContext("2d")?.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(place, 0, AXIS * ratio, width * ratio, height * ratio);
}

function mixed(
  sums: Float32Array[],
  width: number,
  height: number,
  most: number,
  colours: string[],
): ImageData {
  const image = new ImageData(width, height);
  const channels = Float32Array.from(colours.flatMap(rgbOf)); // one behind the other: this is the inner loop
  const counts = new Float32Array(sums.length);
  for (let y = 0; y < height; y += 1) {
    counts.fill(0);
    for (let x = 0; x < width; x += 1) {
      let all = 0;
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let one = 0; one < sums.length; one += 1) {
        const count = (counts[one] ?? 0) + (sums[one]?.[y * (width + 1) + x] ?? 0);
        counts[one] = count;
        if (count < 0.01) continue;
        const weight = count * (CLASS_WEIGHTS[one] ?? 1);
        all += weight;
        red += weight * (channels[3 * one] ?? 0);
        green += weight * (channels[3 * one + 1] ?? 0);
        blue += weight * (channels[3 * one + 2] ?? 0);
      }
      if (all <= 0.01) continue;
      const at = 4 * (y * width + x);
      image.data[at] = red / all;
      image.data[at + 1] = green / all;
      image.data[at + 2] = blue / all;
      image.data[at + 3] = 255 * Math.min(1, 0.2 + (0.8 * all) / most);
    }
  }
  return image;
}

function rgbOf(colour: string): number[] {
  const hex = colour.replace("#", "");
  return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}
