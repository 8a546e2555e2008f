// How many tasks ran, were ready or stood still, over the time of a flow. A click leads to that moment.
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { replaceQuery } from "../lib/route.ts";
import { duration } from "../lib/times.ts";
import { paintings } from "../ui/theme.ts";
import { gutterOf, MARK_SPACE, STEPS_MS } from "./gantt-view.ts";
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
  const chart = useRef<uPlot | null>(null);
  const painted = paintings.value;
  const counts = useMemo(() => countsOf(timeline), [timeline]);
  const data = stretched(counts, endMs - timeline.beginMs) as uPlot.AlignedData;
  const given = useRef({ timeline, data });
  given.current = { timeline, data };
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const axis = {
      stroke: colour("muted"),
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
    };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: { time: false } },
        axes: [
          {
            ...axis,
            size: 22,
            incrs: STEPS_MS,
            space: MARK_SPACE,
            values: (_, marks) => marks.map((one) => (one === 0 ? "0" : duration(one))),
          },
          {
            ...axis,
            size: () => gutterOf(element.clientWidth), // so that times stand over those of the chart below
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
      given.current.data,
      element,
    );
    made.over.addEventListener("click", () => {
      const left = made.cursor.left ?? -1;
      if (left < 0) return;
      const { timeline: shown } = given.current;
      const step = shown.stepAtMs(shown.beginMs + made.posToVal(left, "x"));
      replaceQuery({ at: shown.columns.positions[step] ?? null });
    });
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    chart.current = made;
    return () => {
      observer.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [painted]);
  useEffect(() => chart.current?.setData(given.current.data), [timeline, endMs]);
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
function countsOf(timeline: Timeline): number[][] {
  const { columns, stages, beginMs } = timeline;
  const raster = Math.max(1, timeline.lastMs - beginMs) / MOST_POINTS;
  const now = LINES.map(() => 0);
  const lineOf = stages.map((stage) => LINES.findIndex(([name]) => name === stage));
  const stood = new Int8Array(1 + columns.task.reduce((most, task) => Math.max(most, task), 0)).fill(-1);
  const found: number[][] = [[], ...LINES.map(() => [])];
  const note = (ms: number) => {
    found[0]?.push(ms);
    LINES.forEach((_, index) => {
      found[index + 1]?.push(now[index] ?? 0);
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
    const before = stood[task] ?? -1;
    const line = lineOf[columns.stage[row] ?? 0] ?? -1;
    if (before >= 0) now[before] = (now[before] ?? 0) - 1;
    if (line >= 0) now[line] = (now[line] ?? 0) + 1;
    stood[task] = line;
  });
  note(Math.max(timeline.lastMs - beginMs, (found[0]?.at(-1) ?? 0) + 0.5));
  return found;
}

/** The same, and on as it was last up to a time: it is another one with each frame of a flow that runs. */
function stretched(counts: number[][], span: number): number[][] {
  const end = Math.max(span, (counts[0]?.at(-1) ?? 0) + 0.5);
  return counts.map((column, index) => [...column, index === 0 ? end : (column.at(-1) ?? 0)]);
}
