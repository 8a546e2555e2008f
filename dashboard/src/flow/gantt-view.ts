// Where tasks and times of a Gantt chart lie on the canvas.
import type { Size } from "../ui/place-size.ts";

const GUTTER = 168; // names
export const AXIS = 26;
export const ROW = 22;

export interface GanttView {
  fromMs: number;
  toMs: number;
  /** Rows that are scrolled away, and how high one is, in pixels. */
  top: number;
  row: number;
  /** Whether it goes on with the flow. */
  isFollowing: boolean;
}

/** Where names stand; the chart above has its numbers there, so that times stand over times. */
export function gutterOf(width: number): number {
  return width < 520 ? 96 : GUTTER;
}

/** Of how many rows one is named, so that names do not touch. */
export function namedOf(view: GanttView): number {
  return Math.max(1, Math.ceil((ROW - 2) / view.row));
}

export function xOf(view: GanttView, size: Size, ms: number): number {
  return timesOf(view, size)(ms);
}

/** Where times lie, for who asks of many. */
export function timesOf(view: GanttView, size: Size): (ms: number) => number {
  const left = gutterOf(size.width);
  const scale = (size.width - left - 8) / (view.toMs - view.fromMs);
  return (ms) => left + (ms - view.fromMs) * scale;
}

export function msAt(view: GanttView, size: Size, x: number): number {
  const left = gutterOf(size.width);
  return view.fromMs + ((x - left) / (size.width - left - 8)) * (view.toMs - view.fromMs);
}

export function yOf(view: GanttView, row: number): number {
  return AXIS + (row - 1 - view.top) * view.row;
}

export function rowAtY(view: GanttView, count: number, y: number): number | null {
  if (y < AXIS) return null;
  const row = Math.floor((y - AXIS) / view.row + view.top) + 1;
  return row >= 1 && row <= count ? row : null;
}

/** Inside of what there is. */
export function bounded(view: GanttView, size: Size, count: number): GanttView {
  const seen = (size.height - AXIS) / view.row;
  return { ...view, top: Math.max(0, Math.min(view.top, count - seen)) };
}

/** All of the time, rows as high as can be read; ``isDense``: all rows, however low. */
export function fitted(
  fromMs: number,
  toMs: number,
  size: Size,
  count: number,
  { isDense = false } = {},
): GanttView {
  const space = Math.max(1, size.height - AXIS);
  const row = isDense ? Math.min(ROW, space / Math.max(1, count)) : ROW;
  return { fromMs, toMs: Math.max(toMs, fromMs + 10), top: 0, row, isFollowing: true };
}

/** A row is seen. */
export function showing(view: GanttView, size: Size, count: number, row: number): GanttView {
  const y = yOf(view, row);
  if (y < AXIS) return bounded({ ...view, top: row - 1 }, size, count);
  if (y + view.row <= size.height) return view;
  return bounded({ ...view, top: row - (size.height - AXIS) / view.row }, size, count);
}

export const STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5,
  432e5, 864e5, 1728e5, 6048e5,
];

export const MARK_SPACE = 90; // pixels at least between two marks

/** Where the axis has marks: ms since the beginning of the flow. */
export function marksOf(view: GanttView, size: Size, beginMs: number): number[] {
  const wanted = ((view.toMs - view.fromMs) * MARK_SPACE) / Math.max(1, size.width - gutterOf(size.width));
  const step = STEPS_MS.find((one) => one >= wanted) ?? 6048e5;
  const marks: number[] = [];
  for (
    let ms = Math.ceil((view.fromMs - beginMs) / step) * step;
    ms <= view.toMs - beginMs && marks.length < 60;
    ms += step
  ) {
    marks.push(ms);
  }
  return marks;
}
