// How many tasks ran, were ready or stood still, over the time of a flow. A click leads to that moment.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { replaceQuery } from "../lib/route.ts";
import { duration } from "../lib/times.ts";
import { paintings } from "../ui/theme.ts";
import { GUTTER } from "./gantt-view.ts";
import type { Timeline } from "./timeline.ts";

const HEIGHT = 92;
const MOST_POINTS = 1_200;
const LINES: [string, string][] = [
  ["running", "Running"],
  ["ready", "Ready"],
  ["suspended", "Failed"],
];

interface Props {
  timeline: Timeline;
  endMs: number;
}

export function LoadChart({ timeline, endMs }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const painted = paintings.value;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const gutter = element.clientWidth < 520 ? 96 : GUTTER; // so that times stand over those of the chart below
    const axis = {
      stroke: colour("muted"),
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
    };
    const chart = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: { time: false } },
        axes: [
          { ...axis, size: 22, values: (_, marks) => marks.map((one) => (one === 0 ? "0" : duration(one))) },
          {
            ...axis,
            size: gutter,
            values: (_, marks) => marks.map((one) => (one % 1 === 0 ? String(one) : "")),
          },
        ],
        series: [
          {},
          ...LINES.map(([name, label]) => ({
            label,
            stroke: colour(name),
            fill: name === "running" ? `${colour(name)}30` : "transparent",
            width: 1.5,
            ...(name === "ready" && { dash: [4, 3] }),
            points: { show: false },
            ...(uPlot.paths.stepped && { paths: uPlot.paths.stepped({ align: 1 }) }),
          })),
        ],
      },
      countsOf(timeline, endMs) as uPlot.AlignedData,
      element,
    );
    chart.over.addEventListener("click", () => {
      const left = chart.cursor.left ?? -1;
      if (left < 0) return;
      const step = timeline.stepAtMs(timeline.beginMs + chart.posToVal(left, "x"));
      replaceQuery({ at: timeline.columns.positions[step] ?? null });
    });
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [timeline, endMs, painted]);
  return (
    <figure class="load">
      <div ref={place} class="load-chart" />
      <figcaption>
        {LINES.map(([name, label]) => (
          <span key={name} class={`key ${name}`}>
            {label}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

/** Columns: ms since the beginning, then of each line how many; as many points as are seen at most. */
export function countsOf(timeline: Timeline, endMs: number): number[][] {
  const { columns, stages, beginMs } = timeline;
  const span = Math.max(1, endMs - beginMs);
  const raster = span / MOST_POINTS;
  const now = new Map<string, number>(LINES.map(([name]) => [name, 0]));
  const stood = new Map<number, string>();
  const found: number[][] = [[], ...LINES.map(() => [])];
  const note = (ms: number) => {
    found[0]?.push(ms);
    LINES.forEach(([name], index) => {
      found[index + 1]?.push(now.get(name) ?? 0);
    });
  };
  let noted = Number.NEGATIVE_INFINITY;
  columns.task.forEach((task, row) => {
    if (task === 0) return;
    const ms = (columns.fromMs[row] ?? 0) - beginMs;
    if (ms - noted >= raster && row > 0) {
      note(Math.max(0, noted === Number.NEGATIVE_INFINITY ? 0 : ms - Math.min(1, raster / 2)));
      noted = ms;
    }
    const before = stood.get(task);
    const stage = stages[columns.stage[row] ?? 0] ?? "waiting";
    if (before !== undefined && now.has(before)) now.set(before, (now.get(before) ?? 0) - 1);
    if (now.has(stage)) now.set(stage, (now.get(stage) ?? 0) + 1);
    stood.set(task, stage);
  });
  note(Math.max(timeline.lastMs - beginMs, (found[0]?.at(-1) ?? 0) + 0.5));
  note(Math.max(span, (found[0]?.at(-1) ?? 0) + 0.5));
  return found;
}
