// Paints a graph: edges, then boxes, only those that are seen; colours are those of the page.
import { STAGE_PATHS, type Stage } from "../lib/statuses.ts";
import { BOX, boxAt, type View } from "./dag-view.ts";
import type { LiveFlow } from "./live-flow.ts";

const paths = new Map<Stage, Path2D>();
const NAME_SCALE = 0.4; // smaller names are not painted

export interface Painted {
  live: LiveFlow;
  view: View;
  chosen: number | null;
  width: number;
  height: number;
}

export function paint(canvas: HTMLCanvasElement, { live, view, chosen, width, height }: Painted): void {
  const context = canvas.getContext("2d");
  const layout = live.layout.peek();
  if (context === null || layout === null) return;
  const colours = coloursOf(canvas);
  const ratio = devicePixelRatio;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.translate(view.x, view.y);
  context.scale(view.scale, view.scale);
  const seen = {
    left: -view.x / view.scale,
    top: -view.y / view.scale,
    right: (width - view.x) / view.scale,
    bottom: (height - view.y) / view.scale,
  };
  context.lineWidth = 1.25;
  for (const isNear of [false, true]) {
    context.strokeStyle = isNear ? colours("accent") : colours("edge");
    context.beginPath();
    for (let at = 0; at < layout.edges.length; at += 2) {
      const from = layout.edges[at] ?? 0;
      const to = layout.edges[at + 1] ?? 0;
      if (isNear !== (chosen !== null && (from === chosen || to === chosen))) continue;
      const a = boxAt(layout, from);
      const b = boxAt(layout, to);
      const y1 = a.y + BOX.height / 2;
      const y2 = b.y + BOX.height / 2;
      const x1 = a.x + BOX.width;
      if (x1 > seen.right || b.x < seen.left || Math.max(y1, y2) < seen.top || Math.min(y1, y2) > seen.bottom)
        continue;
      // It turns in the gap before the task, so that it passes no box in between if rows allow it.
      const bend = b.x - BOX.right / 2;
      context.moveTo(x1, y1);
      if (b.x - x1 > BOX.right) context.lineTo(b.x - BOX.right, y1);
      context.bezierCurveTo(bend, y1, bend, y2, b.x, y2);
    }
    context.stroke();
  }
  context.font = `13px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  for (let task = 1; task <= live.count; task += 1) {
    const box = boxAt(layout, task);
    if (box.x > seen.right || box.x + BOX.width < seen.left) continue;
    if (box.y > seen.bottom || box.y + BOX.height < seen.top) continue;
    paintBox(context, live, task, box, colours, task === chosen, view.scale);
  }
}

function paintBox(
  context: CanvasRenderingContext2D,
  live: LiveFlow,
  task: number,
  box: { x: number; y: number },
  colours: (name: string) => string,
  isChosen: boolean,
  scale: number,
): void {
  const stage = live.stage(task);
  const colour = colours(stage);
  context.beginPath();
  context.roundRect(box.x, box.y, BOX.width, BOX.height, 6);
  context.fillStyle = colours("panel");
  context.fill();
  context.fillStyle = colour;
  context.globalAlpha = stage === "waiting" ? 0.04 : 0.12;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = isChosen ? colours("accent") : colour;
  context.lineWidth = isChosen ? 2.5 : 1.25;
  if (stage === "waiting" && !isChosen) context.strokeStyle = colours("line");
  context.stroke();
  if (scale < NAME_SCALE) return;
  context.save();
  context.translate(box.x + 9, box.y + 8);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  if (stage === "running") {
    context.fillStyle = colour;
    context.fill(pathOf(stage));
  }
  context.stroke(pathOf(stage));
  context.restore();
  context.fillStyle = colours(stage === "waiting" ? "muted" : "text");
  const name = live.name(task);
  const row = live.rows[task];
  const more = row !== undefined && row.attempt > 1 ? `×${row.attempt}` : "";
  const space = BOX.width - 42 - (more === "" ? 0 : 24);
  context.fillText(shortened(context, name, space), box.x + 31, box.y + BOX.height / 2 + 0.5);
  if (more !== "") {
    context.fillStyle = colours("muted");
    context.textAlign = "right";
    context.fillText(more, box.x + BOX.width - 9, box.y + BOX.height / 2 + 0.5);
    context.textAlign = "left";
  }
}

function pathOf(stage: Stage): Path2D {
  let found = paths.get(stage);
  if (found === undefined) {
    found = new Path2D(STAGE_PATHS[stage]);
    paths.set(stage, found);
  }
  return found;
}

const widths = new Map<string, string>();

function shortened(context: CanvasRenderingContext2D, name: string, space: number): string {
  const key = `${space} ${name.slice(0, 200)}`;
  const known = widths.get(key);
  if (known !== undefined) return known;
  let text = name.slice(0, 200).replace(/\s+/g, " ");
  if (context.measureText(text).width > space) {
    let low = 0;
    let high = text.length;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (context.measureText(`${text.slice(0, middle)}…`).width <= space) low = middle;
      else high = middle - 1;
    }
    text = `${text.slice(0, low)}…`;
  }
  if (widths.size > 20_000) widths.clear();
  widths.set(key, text);
  return text;
}

function coloursOf(canvas: HTMLCanvasElement): (name: string) => string {
  const style = getComputedStyle(canvas);
  const known = new Map<string, string>();
  return (name) => {
    let found = known.get(name);
    if (found === undefined) {
      found = style.getPropertyValue(`--${name}`).trim();
      known.set(name, found);
    }
    return found;
  };
}
