// Paints what a Gantt chart sums up: where rows are low, a pixel shows how many of its tasks do what at a time.
import type { Stage } from "../lib/statuses.ts";
import { ganttRowsOf } from "./gantt-rows.ts";
import { AXIS, gutterOf, timesOf } from "./gantt-view.ts";
import { eachLivePart } from "./live-parts.ts";
import type { PaintedGantt } from "./painted-gantt.ts";

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

/** The picture of all rows that are seen, a pixel of the page each; from below the axis on. */
export function densityOf(painted: PaintedGantt, colours: (name: string) => string): ImageData {
  const { view, size, timeline, shown, nowMs } = painted;
  const width = Math.max(1, Math.round(size.width));
  const height = Math.max(1, Math.round(size.height - AXIS));
  const image = new ImageData(width, height);
  const lines = new Lines(image, Math.max(1, 1 / view.row), CLASS_COLOURS.map(colours).map(rgbOf));
  const xAt = timesOf(view, size);
  const left = gutterOf(size.width);
  const note = (stage: Stage, from: number, until: number | null) => {
    const of = CLASSES[stage];
    if (of === undefined) return;
    const x = Math.max(left, Math.floor(xAt(from)));
    const to = Math.min(width - 1, Math.floor(xAt(until ?? nowMs)));
    if (x < width && to >= x) lines.note(of, x, to + 1);
  };
  const lineOf = (row: number) => Math.floor((row - 1 - view.top) * view.row);
  const rows = ganttRowsOf(shown);
  const noteBehind = (stage: Stage, from: number, until: number | null) => {
    if (stage !== "waiting") note(stage, from, until);
  };
  const first = Math.max(1, Math.floor(view.top) + 1);
  let line = lineOf(first);
  for (let row = first; row <= rows.count && line < height; row += 1) {
    eachLivePart(shown, timeline, rows.firstOf(row), note);
    for (const task of rows.othersOf(row)) eachLivePart(shown, timeline, task, noteBehind);
    const next = row === rows.count ? line + Math.max(1, Math.round(view.row)) : lineOf(row + 1);
    if (next === line) continue; // the next one lies in the same pixels
    lines.paint(Math.max(0, line), Math.min(next, height));
    line = next;
  }
  return image;
}

/** Paints line by line: from where to where as many tasks do the same is one stretch of one colour. */
class Lines {
  private readonly pixels: Uint32Array;
  private readonly width: number;
  private readonly most: number;
  private readonly colours: number[][];
  private readonly counts = new Int32Array(CLASS_WEIGHTS.length);
  /** Where how many of a class change: the place, then the class, then whether they get fewer, as one number. */
  private changes = new Int32Array(1_024);
  private used = 0;

  constructor(image: ImageData, most: number, colours: number[][]) {
    this.pixels = new Uint32Array(image.data.buffer);
    this.width = image.width;
    this.most = most;
    this.colours = colours;
  }

  note(of: number, from: number, to: number): void {
    if (this.used + 2 > this.changes.length) {
      const more = new Int32Array(2 * this.changes.length);
      more.set(this.changes);
      this.changes = more;
    }
    this.changes[this.used] = 16 * from + 2 * of;
    this.changes[this.used + 1] = 16 * to + 2 * of + 1;
    this.used += 2;
  }

  /** Paints what was noted into these lines of pixels, and forgets it. */
  paint(first: number, behind: number): void {
    const changes = this.changes.subarray(0, this.used).sort();
    this.used = 0;
    if (behind <= first) return;
    this.counts.fill(0);
    const begin = first * this.width;
    for (let at = 0; at < changes.length; ) {
      const x = (changes[at] ?? 0) >> 4;
      for (; at < changes.length && (changes[at] ?? 0) >> 4 === x; at += 1) {
        const change = changes[at] ?? 0;
        const of = (change >> 1) & 7;
        this.counts[of] = (this.counts[of] ?? 0) + ((change & 1) === 0 ? 1 : -1);
      }
      const to = at < changes.length ? (changes[at] ?? 0) >> 4 : this.width;
      const colour = this.mixed();
      if (colour !== 0) this.pixels.fill(colour, begin + x, begin + to);
    }
    for (let line = first + 1; line < behind; line += 1) {
      this.pixels.copyWithin(line * this.width, begin, begin + this.width);
    }
  }

  private mixed(): number {
    let all = 0;
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let of = 0; of < this.counts.length; of += 1) {
      const weight = (this.counts[of] ?? 0) * (CLASS_WEIGHTS[of] ?? 1);
      const colour = this.colours[of];
      if (weight <= 0 || colour === undefined) continue;
      all += weight;
      red += weight * (colour[0] ?? 0);
      green += weight * (colour[1] ?? 0);
      blue += weight * (colour[2] ?? 0);
    }
    if (all === 0) return 0;
    const opacity = Math.round(255 * Math.min(1, 0.2 + (0.8 * all) / this.most));
    return ((opacity << 24) | ((blue / all) << 16) | ((green / all) << 8) | (red / all)) >>> 0; // as canvases have it
  }
}

function rgbOf(colour: string): number[] {
  const hex = colour.replace("#", "");
  return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}
