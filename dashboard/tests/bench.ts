// What the dashboard costs a browser, measured in a Chromium before a real engine: a table for people.
import { api, FLOWS, openBrowser, statusOf, until } from "./browser.ts";

const TASKS = Number(process.env.FLOWER_UI_LARGE);
const RUNS = 3;
const RATE = 200; // tasks of the flow that is watched start a second

interface Entry {
  name: string;
  at: number;
  took: number;
}

const browser = await openBrowser();
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-US" });
const watching = `
  globalThis.entries = [];
  new PerformanceObserver((list) => {
    for (const { name, startTime, duration } of list.getEntries()) {
      if (name.startsWith("flow-")) globalThis.entries.push({ name, at: startTime, took: duration });
    }
  }).observe({ entryTypes: ["mark", "measure"] });
`;

async function opened(view: string, flow: string) {
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  await page.addInitScript(watching);
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  await page.goto(`${process.env.FLOWER_UI_URL}/#/flows/${flow}?task=0${view}`);
  const metric = async (name: string) => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find((one) => one.name === name)?.value ?? 0;
  };
  const entries = () => page.evaluate(() => (globalThis as unknown as { entries: Entry[] }).entries);
  const painted = async (name: string) => {
    await until(async () => (await entries()).some((one) => one.name === name));
  };
  const heap = async () => {
    await session.send("HeapProfiler.collectGarbage");
    return (await metric("JSHeapUsedSize")) / 1e6;
  };
  return { page, metric, entries, painted, heap };
}

await until(async () => (await statusOf(FLOWS.large ?? "")) === "Finish");
console.error("measuring");
const rows: [string, string, string][] = [];
const firsts: number[] = [];
let heap = 0;
for (let run = 0; run < RUNS; run += 1) {
  const { page, entries, painted, heap: measured } = await opened("", FLOWS.large ?? "");
  await painted("flow-painted");
  const all = await entries();
  const data = all.find((one) => one.name === "flow-frame");
  const paint = all.find((one) => one.name === "flow-painted");
  firsts.push((paint?.at ?? 0) + (paint?.took ?? 0) - (data?.at ?? 0));
  heap = await measured();
  await page.close();
}
rows.push([
  `first paint of the graph of ${TASKS} tasks, after data`,
  `${median(firsts).toFixed(0)} ms`,
  "300 ms",
]);
rows.push(["heap with it", `${heap.toFixed(1)} MB`, "80 MB"]);

const gantt = await opened("&view=gantt", FLOWS.large ?? "");
await gantt.painted("flow-gantt");
const painting = (await gantt.entries()).filter((one) => one.name === "flow-gantt");
rows.push([
  "painting the Gantt chart of it",
  `${median(painting.map(({ took }) => took)).toFixed(0)} ms`,
  "",
]);
rows.push(["heap with it and its timeline", `${(await gantt.heap()).toFixed(1)} MB`, "80 MB"]);
await gantt.page.close();

// So slow that there is something to watch for long enough.
await api("limits/program/nothing", {
  method: "PUT",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ rate: RATE, ratePeriodSeconds: 1 }),
});
const { taskFlowId } = await api<{ taskFlowId: string }>("register/large", { method: "POST" });
for (const view of ["", "&view=list"]) {
  const live = await opened(view, taskFlowId);
  await until(async () => (await frames(live.entries)) > 1);
  const before = { script: await live.metric("ScriptDuration"), frames: await frames(live.entries) };
  await live.page.waitForTimeout(5_000);
  const count = (await frames(live.entries)) - before.frames;
  const script = 1_000 * ((await live.metric("ScriptDuration")) - before.script);
  const name = `script an update of a flow of ${TASKS} tasks that runs, ${view === "" ? "graph" : "list"} (${count} updates)`;
  rows.push([name, count === 0 ? "none came" : `${(script / count).toFixed(1)} ms`, "16 ms"]);
  await live.page.close();
}
await browser.close();
console.log(`\n${"".padEnd(78)}${"measured".padStart(10)}${"budget".padStart(10)}`);
for (const [name, value, budget] of rows) {
  console.log(`${name.padEnd(78)}${value.padStart(10)}${budget.padStart(10)}`);
}

async function frames(entries: () => Promise<Entry[]>): Promise<number> {
  return (await entries()).filter((one) => one.name === "flow-frame").length;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
