// What the dashboard costs a browser, measured in a Chromium before a real engine: a table for people. UI_BEFORE names
// a folder with another bundle: it is measured, too, in turns with this one, so that a busy machine slows down both.
import type { BrowserContext } from "playwright-core";
import { api, FLOWS, openBrowser, statusOf, until } from "./browser.ts";
import { put, registered } from "./pages.ts";
import { contextWith, type Figure, type Seen, WatchedPage } from "./watched-page.ts";

const TASKS = Number(process.env.FLOWER_UI_LARGE);
const RUNS = Number(process.env.FLOWER_UI_RUNS ?? 3);
const RATE = 200; // tasks of the flow that is watched start a second
const PAINT = "300 ms";
const HEAP = "80 MB";

const large = FLOWS.large ?? "";
const mapped = await registered("large-map", [
  { taskSeq: 1, taskName: "numbers", program: "numbers", dependsOn: [], parameters: { count: TASKS } },
  {
    taskSeq: 2,
    taskName: "each",
    program: "@map",
    dependsOn: ["numbers"],
    parameters: { over: { $from: "numbers" }, program: "nothing", as: "number" },
  },
]);
for (const flow of [large, mapped]) await until(async () => (await statusOf(flow)) === "Finish", 600_000);

/** Views that are opened from another one of the same flow. */
const VIEWS: { name: string; flow: string; query: string; seen: Seen }[] = [
  { name: "list", flow: large, query: "task=0&view=list", seen: { element: ".task-list li" } },
  { name: "Gantt chart, all rows", flow: large, query: "task=0&view=gantt", seen: { measure: "flow-gantt" } },
  { name: "history", flow: large, query: "task=0&view=history", seen: { element: ".history li" } },
  {
    name: "comparison with itself",
    flow: large,
    query: "task=0&view=compare",
    seen: { element: ".compare li" },
  },
  { name: "graph of a map", flow: mapped, query: "task=0&view=graph", seen: { measure: "flow-painted" } },
  { name: "items of a map", flow: mapped, query: "task=2&view=history", seen: { element: ".item-list li" } },
];

const browser = await openBrowser();
const before = process.env.FLOWER_UI_BEFORE ?? "";
const now = before === "" ? null : "../services/flower_api/dashboard_bundle"; // both come the same way
const bundles: [string, BrowserContext][] = [["now", await contextWith(browser, now)]];
if (before !== "") bundles.push(["before", await contextWith(browser, before)]);

const painted = new Map<string, Map<string, Figure[]>>();
const heaps = new Map<string, Map<string, number[]>>();
console.error("measuring");
for (let run = 0; run < RUNS; run += 1) {
  for (const [bundle, context] of bundles) {
    await measureGraph(context, bundle);
    for (const view of VIEWS) await measureView(context, bundle, view);
  }
}
const updates = new Map<string, Map<string, [number, number]>>();
// So slow that there is something to watch for long enough.
await api("limits/program/nothing", put({ rate: RATE, ratePeriodSeconds: 1 }));
for (const [bundle, context] of bundles) {
  const { taskFlowId } = await api<{ taskFlowId: string }>("register/large", { method: "POST" });
  for (const view of ["graph", "list", "gantt"]) await measureUpdates(context, bundle, taskFlowId, view);
  await api(`flows/${taskFlowId}/cancel`, { method: "POST" });
}
await browser.close();
tell();

async function measureGraph(context: BrowserContext, bundle: string): Promise<void> {
  const page = await WatchedPage.opened(context, `#/flows/${large}?task=0`);
  note("graph, as its page opens", bundle, await page.first("flow-painted"));
  noteHeap("graph", bundle, await page.heap());
  for (let step = 0; step < 12; step += 1)
    await page.until({ measure: "flow-painted" }, { button: "Smaller" });
  note(
    "graph, as small as it gets",
    bundle,
    await page.until({ measure: "flow-painted" }, { button: "Larger" }),
  );
  await page.close();
}

async function measureView(
  context: BrowserContext,
  bundle: string,
  { name, flow, query, seen }: (typeof VIEWS)[number],
): Promise<void> {
  const from = query.includes("list") ? "view=history" : "view=list";
  const page = await WatchedPage.opened(context, `#/flows/${flow}?task=0&${from}`);
  await page.first("flow-frame");
  note(name, bundle, await page.until(seen, { hash: `#/flows/${flow}?${query}` }));
  if (query.endsWith("view=gantt")) {
    noteHeap("Gantt chart", bundle, await page.heap());
    note("Gantt chart, rows as high as names", bundle, await page.until(seen, { button: "Rows" }));
    await page.until(seen, { button: "All" });
    await page.until(seen, { key: "," });
    note("Gantt chart, an event back in time", bundle, await page.until(seen, { key: "," }));
  }
  await page.close();
}

/** Script an update of a flow that runs. */
async function measureUpdates(
  context: BrowserContext,
  bundle: string,
  flow: string,
  view: string,
): Promise<void> {
  const page = await WatchedPage.opened(context, `#/flows/${flow}?task=0&view=${view}`);
  await until(async () => (await page.frames()) > 1);
  const [script, frames] = [await page.metric("ScriptDuration"), await page.frames()];
  await page.page.waitForTimeout(5_000);
  const count = (await page.frames()) - frames;
  const of = updates.get(view) ?? new Map();
  updates.set(
    view,
    of.set(bundle, [(1_000 * ((await page.metric("ScriptDuration")) - script)) / count, count]),
  );
  await page.close();
}

function note(name: string, bundle: string, figure: Figure): void {
  const of = painted.get(name) ?? new Map<string, Figure[]>();
  painted.set(name, of.set(bundle, [...(of.get(bundle) ?? []), figure]));
  console.error(`${bundle}: ${name}: ${figure.ms.toFixed(0)} ms, ${figure.cpuMs.toFixed(0)} of CPU`);
}

function noteHeap(name: string, bundle: string, mb: number): void {
  const of = heaps.get(name) ?? new Map<string, number[]>();
  heaps.set(name, of.set(bundle, [...(of.get(bundle) ?? []), mb]));
}

function tell(): void {
  const row = (name: string, values: string[], budget: string) =>
    console.log(name.padEnd(60) + values.map((one) => one.padStart(22)).join("") + budget.padStart(10));
  const each = (of: (bundle: string) => string) => bundles.map(([bundle]) => of(bundle));
  row(
    `\n${TASKS} tasks, ms until seen behind data (of CPU)`,
    each((bundle) => bundle),
    "budget",
  );
  for (const [name, figures] of painted) {
    const cell = (bundle: string) => {
      const all = figures.get(bundle) ?? [];
      const ms = median(all.map((one) => one.ms));
      return `${ms.toFixed(0)} (${median(all.map((one) => one.cpuMs)).toFixed(0)})`;
    };
    row(name, each(cell), PAINT);
  }
  for (const [name, sizes] of heaps) {
    row(
      `heap with the ${name}`,
      each((bundle) => `${median(sizes.get(bundle) ?? []).toFixed(1)} MB`),
      HEAP,
    );
  }
  for (const [view, figures] of updates) {
    const cell = (bundle: string) => {
      const [ms, count] = figures.get(bundle) ?? [Number.NaN, 0];
      return `${ms.toFixed(1)} ms (${count} came)`;
    };
    row(`script an update while it runs, ${view}`, each(cell), "16 ms");
  }
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
