// Where tasks of a graph lie on the canvas, and what of it is seen.
import type { Layout } from "../lib/types.ts";

export const BOX = { width: 150, height: 32, right: 30, below: 10 };

export interface View {
  x: number;
  y: number;
  scale: number;
}

export interface Bounds {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export function boxAt(layout: Layout, task: number): { x: number; y: number } {
  return {
    x: (layout.layer[task - 1] ?? 0) * (BOX.width + BOX.right),
    y: (layout.row[task - 1] ?? 0) * (BOX.height + BOX.below),
  };
}

export function boundsOf(layout: Layout): Bounds {
  let top = 0;
  let bottom = 0;
  for (const row of layout.row) {
    if (row < top) top = row;
    if (row > bottom) bottom = row;
  }
  const step = BOX.height + BOX.below;
  return {
    left: 0,
    top: top * step,
    right: layout.layers * (BOX.width + BOX.right) - BOX.right,
    bottom: bottom * step + BOX.height,
  };
}

const MARGIN = 20;
const LEAST_SCALE = 0.7; // smaller names are hard to read: one scrolls instead

/** All of it where it can be read so, else its beginning. */
export function fitted(layout: Layout, width: number, height: number): View {
  const bounds = boundsOf(layout);
  const across = bounds.right - bounds.left + 2 * MARGIN;
  const down = bounds.bottom - bounds.top + 2 * MARGIN;
  const scale = Math.max(LEAST_SCALE, Math.min(1, width / across, height / down));
  const isWide = across * scale > width;
  const isHigh = down * scale > height;
  return {
    scale,
    x: isWide ? MARGIN : (width - (bounds.right + bounds.left) * scale) / 2,
    y: isHigh ? MARGIN - bounds.top * scale : (height - (bounds.bottom + bounds.top) * scale) / 2,
  };
}

export function taskAt(layout: Layout, view: View, x: number, y: number): number | null {
  const inX = (x - view.x) / view.scale;
  const inY = (y - view.y) / view.scale;
  for (let task = 1; task <= layout.layer.length; task += 1) {
    if ((layout.layer[task - 1] ?? 0) < 0) continue; // an item, which its map stands for
    const box = boxAt(layout, task);
    if (inX >= box.x && inX <= box.x + BOX.width && inY >= box.y && inY <= box.y + BOX.height) return task;
  }
  return null;
}

/** The view with a task in its middle, as far as there is more of the graph than is seen: so one sees what is before
    it and what is behind. */
export function centred(layout: Layout, view: View, task: number, width: number, height: number): View {
  const bounds = boundsOf(layout);
  const box = boxAt(layout, task);
  const along = (at: number, size: number, space: number, from: number, to: number, is: number) => {
    const last = space - MARGIN - to * view.scale;
    const first = MARGIN - from * view.scale;
    if (last >= first) return is;
    return Math.max(last, Math.min(first, space / 2 - (at + size / 2) * view.scale));
  };
  return {
    ...view,
    x: along(box.x, BOX.width, width, bounds.left, bounds.right, view.x),
    y: along(box.y, BOX.height, height, bounds.top, bounds.bottom, view.y),
  };
}

/** The view moved just so far that a task is seen. */
export function showing(layout: Layout, view: View, task: number, width: number, height: number): View {
  const box = boxAt(layout, task);
  const left = box.x * view.scale + view.x;
  const top = box.y * view.scale + view.y;
  const right = left + BOX.width * view.scale;
  const bottom = top + BOX.height * view.scale;
  const x = left < MARGIN ? MARGIN - left : right > width - MARGIN ? width - MARGIN - right : 0;
  const y = top < MARGIN ? MARGIN - top : bottom > height - MARGIN ? height - MARGIN - bottom : 0;
  return x === 0 && y === 0 ? view : { ...view, x: view.x + x, y: view.y + y };
}
