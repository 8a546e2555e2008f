// Paints a graph: edges, then boxes, only those that are seen; colours are those of the page.

import { STAGE_PATHS, type Stage } from "../lib/statuses.ts";
import type { Layout } from "../lib/types.ts";
import { coloursOf, shortened } from "../ui/painting.ts";
import { type Chains, chainsOf } from "./chains.ts";
import { BOX, type Bounds, boxAt, type View } from "./dag-view.ts";
import { type Counts, countsOf, endedOf, ITEM_STAGES, totalOf } from "./item-counts.ts";
import type { ShownFlow } from "./shown-flow.ts";

const paths = new Map<Stage, Path2D>();
const CHAIN_SPACE = 4;
const NAME_SCALE = 0.4; // smaller names are not painted
const ONE_EDGE = [0];
const ITEM_EDGES = [-7, 0, 7]; // between maps of a chain: each item has an edge of its own
const FAR_OPACITY: Partial<Record<Stage, number>> = { waiting: 0.2, suspended: 1, running: 0.8 };

export interface Painted {
  live: ShownFlow;
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
  const drawn = chosen === null ? null : live.drawnAs(chosen);
  const chains = chainsOf(live.plan.peek());
  if (chains !== null) paintChains(context, chains, layout, colours);
  context.lineWidth = 1.25;
  const lanes = lanesOf(layout);
  for (const isNear of [false, true]) {
    context.strokeStyle = isNear ? colours("accent") : colours("edge");
    context.beginPath();
    for (let at = 0; at < layout.edges.length; at += 2) {
      const from = layout.edges[at] ?? 0;
      const to = layout.edges[at + 1] ?? 0;
      if (isNear !== (drawn !== null && (from === drawn || to === drawn))) continue;
      const offsets = chains !== null && chains.mapBefore(to) === from ? ITEM_EDGES : ONE_EDGE;
      for (const offset of offsets) traceEdge(context, layout, lanes, from, to, seen, offset);
    }
    context.stroke();
  }
  if (view.scale < NAME_SCALE) {
    paintFarBoxes(context, live, layout, seen, drawn, colours);
    return;
  }
  context.font = `14px ${getComputedStyle(canvas).fontFamily}`;
  context.textBaseline = "middle";
  for (let task = 1; task <= live.count; task += 1) {
    if ((layout.layer[task - 1] ?? 0) < 0) continue; // an item, which its map stands for
    const box = boxAt(layout, task);
    if (box.x > seen.right || box.x + BOX.width < seen.left) continue;
    if (box.y > seen.bottom || box.y + BOX.height < seen.top) continue;
    paintBox(context, live, task, box, colours, task === drawn);
  }
}

/** From afar a box is a spot of its colour: ten thousand may be seen at once, and none has a name. */
function paintFarBoxes(
  context: CanvasRenderingContext2D,
  live: ShownFlow,
  layout: Layout,
  seen: Bounds,
  drawn: number | null,
  colours: (name: string) => string,
): void {
  const boxes = new Map<Stage, number[]>();
  for (let task = 1; task <= live.count; task += 1) {
    if ((layout.layer[task - 1] ?? 0) < 0) continue; // an item, which its map stands for
    const { x, y } = boxAt(layout, task);
    if (x > seen.right || x + BOX.width < seen.left || y > seen.bottom || y + BOX.height < seen.top) continue;
    const stage = stageOfItems(countsOf(live, task)) ?? live.stage(task);
    const alike = boxes.get(stage);
    if (alike === undefined) boxes.set(stage, [x, y]);
    else alike.push(x, y);
  }
  for (const [stage, places] of boxes) {
    context.fillStyle = colours("panel");
    for (let at = 0; at < places.length; at += 2) {
      context.fillRect(places[at] ?? 0, places[at + 1] ?? 0, BOX.width, BOX.height);
    }
    context.fillStyle = colours(stage);
    context.globalAlpha = FAR_OPACITY[stage] ?? 0.5;
    for (let at = 0; at < places.length; at += 2) {
      context.fillRect(places[at] ?? 0, places[at + 1] ?? 0, BOX.width, BOX.height);
    }
    context.globalAlpha = 1;
  }
  if (drawn === null) return;
  const box = boxAt(layout, drawn);
  context.strokeStyle = colours("accent");
  context.lineWidth = 5;
  context.strokeRect(box.x, box.y, BOX.width, BOX.height);
}

/** Behind the maps of a chain that stand in one row: they are one. */
function paintChains(
  context: CanvasRenderingContext2D,
  chains: Chains,
  layout: Layout,
  colours: (name: string) => string,
): void {
  for (const first of chains.firstMaps) {
    const boxes = chains.mapsOf(first).map((map) => boxAt(layout, map));
    const left = Math.min(...boxes.map((box) => box.x));
    const right = Math.max(...boxes.map((box) => box.x)) + BOX.width;
    const top = boxes[0]?.y ?? 0;
    if (boxes.some((box) => box.y !== top)) continue;
    context.beginPath();
    context.roundRect(
      left - CHAIN_SPACE,
      top - CHAIN_SPACE,
      right - left + 3 * CHAIN_SPACE,
      BOX.height + 3 * CHAIN_SPACE,
      9,
    );
    context.fillStyle = colours("chosen");
    context.fill();
  }
}

/** Through its lane where it passes layers; each turn is in the gap between two layers. */
function traceEdge(
  context: CanvasRenderingContext2D,
  layout: Layout,
  lanes: ReadonlyMap<number, number>,
  from: number,
  to: number,
  seen: Bounds,
  offset: number,
): void {
  const a = boxAt(layout, from);
  const b = boxAt(layout, to);
  if (a.x > seen.right || b.x < seen.left) return;
  const lane = lanes.get(from);
  const last = layout.layer[to - 1] ?? 0;
  let x = a.x + BOX.width;
  const middle = BOX.height / 2 + offset;
  let y = a.y + middle;
  context.moveTo(x, y);
  for (let layer = (layout.layer[from - 1] ?? 0) + 1; layer <= last; layer += 1) {
    const isEnd = layer === last;
    if (!isEnd && lane === undefined) continue;
    const left = layer * (BOX.width + BOX.right);
    const row = layout.laneRow[(lane ?? 0) + layer - (layout.layer[from - 1] ?? 0) - 1] ?? 0;
    const next = (isEnd ? b.y : row * (BOX.height + BOX.below)) + middle;
    const bend = left - BOX.right / 2;
    if (left - x > BOX.right) context.lineTo(left - BOX.right, y);
    context.bezierCurveTo(bend, y, bend, next, left, next);
    x = left;
    y = next;
    if (isEnd) return;
    context.lineTo(left + BOX.width, next);
    x = left + BOX.width;
  }
}

const known = new WeakMap<Layout, Map<number, number>>();

/** Where the lane of a task begins among their rows. */
function lanesOf(layout: Layout): ReadonlyMap<number, number> {
  let found = known.get(layout);
  if (found === undefined) {
    found = new Map(layout.laneTask.map((task, index) => [task, layout.laneFrom[index] ?? 0]));
    known.set(layout, found);
  }
  return found;
}

function paintBox(
  context: CanvasRenderingContext2D,
  live: ShownFlow,
  task: number,
  box: { x: number; y: number },
  colours: (name: string) => string,
  isChosen: boolean,
): void {
  const items = countsOf(live, task);
  const stage = stageOfItems(items) ?? live.stage(task);
  const colour = colours(stage);
  if (items !== null) paintStack(context, box, colours);
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
  if (items !== null) paintShares(context, box, items, colours);
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
  const more =
    items !== null
      ? `${endedOf(items)}/${totalOf(items)}`
      : row !== undefined && row.attempt > 1
        ? `×${row.attempt}`
        : "";
  const space = BOX.width - 42 - (more === "" ? 0 : 10 + context.measureText(more).width);
  context.fillText(shortened(context, name, space), box.x + 31, box.y + BOX.height / 2 + 0.5);
  if (more !== "") {
    context.fillStyle = colours("muted");
    context.textAlign = "right";
    context.fillText(more, box.x + BOX.width - 9, box.y + BOX.height / 2 + 0.5);
    context.textAlign = "left";
  }
}

/** A map stands as those of its items that need somebody, or run. */
function stageOfItems(items: Counts | null): Stage | null {
  if (items === null) return null;
  return (["suspended", "running"] as const).find((stage) => (items[stage] ?? 0) > 0) ?? null;
}

/** Behind the box of a map the edges of others: it stands for many. */
function paintStack(
  context: CanvasRenderingContext2D,
  box: { x: number; y: number },
  colours: (name: string) => string,
): void {
  context.strokeStyle = colours("edge");
  context.lineWidth = 1;
  for (const off of [6, 3]) {
    context.beginPath();
    context.roundRect(box.x + off, box.y + off, BOX.width, BOX.height, 6);
    context.fillStyle = colours("bg");
    context.fill();
    context.stroke();
  }
}

/** How its items stand, as shares of its lower edge. */
function paintShares(
  context: CanvasRenderingContext2D,
  box: { x: number; y: number },
  items: Counts,
  colours: (name: string) => string,
): void {
  const width = BOX.width - 12;
  const one = width / totalOf(items);
  let x = box.x + 6;
  for (const stage of ITEM_STAGES) {
    const share = (items[stage] ?? 0) * one;
    if (share === 0) continue;
    context.fillStyle = colours(stage);
    context.fillRect(x, box.y + BOX.height - 5, Math.max(share, stage === "suspended" ? 2 : 0), 2.5);
    x += share;
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
