// Pictures of each screen, both themes, three widths, into the folder that is named. FLOWER_UI_PICTURE_KINDS=png,webp
// makes larger ones, too, for programs that read no WebP.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { api, FLOWS, openBrowser, openPage, statusOf, until } from "./browser.ts";

interface Screen {
  name: string;
  path: string;
  /** What is there once the screen is. */
  shown: string;
  /** What is done before the picture is taken. */
  first?: (page: Page) => Promise<void>;
}

const KINDS = (process.env.FLOWER_UI_PICTURE_KINDS ?? "webp").split(",") as ("png" | "webp")[];
const QUALITY = 72;
const folder = process.env.FLOWER_UI_PICTURES ?? "screenshots";
const only = process.env.FLOWER_UI_ONLY ?? "";
mkdirSync(folder, { recursive: true });
await until(async () => (await statusOf(FLOWS.failed ?? "")) === "Suspend");
await until(async () => (await statusOf(FLOWS.chained ?? "")) === "Suspend");
await until(async () => (await statusOf(FLOWS.large ?? "")) === "Finish");
for (const [path, settings] of [
  ["workflow/large", { maxRunning: 40, rate: 500, reason: "as the warehouse can bear" }],
  ["queue/gpu", { isPaused: true, reason: "new drivers" }],
] as const) {
  const headers = { "Content-Type": "application/json" };
  await api(`limits/${path}`, { method: "PUT", headers, body: JSON.stringify(settings) });
}

await api("hooks/ops", {
  method: "PUT",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    occasions: ["flow.failed"],
    kind: "webhook",
    target: "https://alerts.example.com/flower",
  }),
});
await api("hooks/ops/test", { method: "POST" });

const screens: Screen[] = [
  { name: "flows", path: "#/flows", shown: "table.flows tbody tr" },
  {
    name: "flows-chosen",
    path: "#/flows",
    shown: "table.flows tbody tr",
    first: async (page) => {
      const boxes = page.locator("td.pick input");
      await boxes.nth(1).click();
      await boxes.nth(6).click({ modifiers: ["Shift"] });
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.locator(".effect li").first().waitFor();
    },
  },
  { name: "errors", path: "#/errors", shown: "tbody tr" },
  { name: "flow-graph", path: `#/flows/${FLOWS.failed}`, shown: ".error .message" },
  { name: "flow-log", path: `#/flows/${FLOWS.failed}?view=list&task=11&tab=log`, shown: ".line" },
  { name: "flow-gantt", path: `#/flows/${FLOWS.failed}?view=gantt&task=0`, shown: ".load .uplot" },
  { name: "flow-gantt-large", path: `#/flows/${FLOWS.large}?view=gantt&task=0`, shown: ".load .uplot" },
  {
    name: "flow-history",
    path: `#/flows/${FLOWS.failed}?view=history&task=10`,
    shown: ".history li",
    first: async (page) => {
      await page.keyboard.press(",");
      await page.locator(".time-bar input").waitFor();
      for (let back = 0; back < 4; back += 1) await page.keyboard.press(",");
      await page.locator(".time-bar.past").waitFor();
    },
  },
  {
    name: "flow-compare",
    path: `#/flows/${FLOWS.failed}?view=compare&with=${FLOWS.finished}&task=0`,
    shown: ".compare li",
  },
  {
    name: "flow-rerun",
    path: `#/flows/${FLOWS.failed}?task=11`,
    shown: ".error .message",
    first: async (page) => {
      await page.getByRole("button", { name: "Rerun task" }).click();
      await page.locator(".effect li").first().waitFor();
    },
  },
  { name: "flow-waiting", path: `#/flows/${FLOWS.waiting}?task=2`, shown: ".why" },
  { name: "workflows", path: "#/workflows", shown: "tbody tr" },
  { name: "workflow-graph", path: "#/workflows/nightly-sales?task=11", shown: ".pane .json" },
  { name: "workflow-versions", path: "#/workflows/import-prices?view=versions", shown: ".diff li" },
  { name: "workflow-register", path: "#/workflows/export?view=register", shown: ".schema-form .field" },
  { name: "schedules", path: "#/schedules", shown: "tbody tr" },
  { name: "schedule-slots", path: "#/schedules/ticks", shown: "tbody .mark.finished" },
  { name: "schedule-edit", path: "#/schedules/month-end?view=edit", shown: ".preview tbody tr" },
  { name: "approvals", path: `#/approvals?line=${FLOWS.approval}/2`, shown: ".pane .choices" },
  { name: "signals", path: "#/approvals?view=signals", shown: ".beside form" },
  { name: "workers", path: "#/workers", shown: "table tbody tr" },
  { name: "limits", path: "#/limits", shown: "tbody tr" },
  { name: "flow-map", path: `#/flows/${FLOWS.mapped}?task=2`, shown: ".item-list li" },
  { name: "flow-chain", path: `#/flows/${FLOWS.chained}?task=3`, shown: ".chain-line" },
  { name: "flow-chain-list", path: `#/flows/${FLOWS.chained}?view=list&task=9`, shown: ".chain-of-item" },
  { name: "flow-chain-gantt", path: `#/flows/${FLOWS.chained}?view=gantt&task=0`, shown: ".load .uplot" },
  { name: "flow-about", path: `#/flows/${FLOWS.failed}?view=about`, shown: ".flow-facts dd" },
  { name: "flow-tree", path: `#/flows/${FLOWS.tree}?view=tree&task=1`, shown: ".tree-line + ul .tree-line" },
  { name: "audit", path: "#/audit", shown: "tbody tr" },
  { name: "hooks", path: "#/hooks", shown: "tbody tr" },
  { name: "hook", path: "#/hooks/ops", shown: "tbody tr" },
  {
    name: "errors-rerun",
    path: "#/errors",
    shown: "tbody tr",
    first: async (page) => {
      await page.getByRole("button", { name: "Rerun" }).first().click();
      await page.locator(".effect li", { hasText: "will run again" }).first().waitFor();
    },
  },
  { name: "flow-given-up", path: `#/flows/${FLOWS.given_up}?task=3`, shown: ".why" },
];
const SIZES = [
  [1440, 860],
  [768, 1024],
  [360, 740],
] as const;
const browser = await openBrowser();
for (const screen of screens.filter(({ name }) => only.split(",").some((one) => name.includes(one)))) {
  for (const [width, height] of SIZES) {
    for (const dark of [false, true]) await take(browser, screen, width, height, dark);
  }
}
await browser.close();

async function take(
  browser: Browser,
  screen: Screen,
  width: number,
  height: number,
  dark: boolean,
): Promise<void> {
  const { page, complaints } = await openPage(browser, screen.path, { width, height, dark });
  await page.locator(screen.shown).first().waitFor();
  await screen.first?.(page);
  await page.waitForTimeout(500); // canvases are painted with the next frames
  const session = await page.context().newCDPSession(page);
  const name = `${screen.name}-${width}-${dark ? "dark" : "light"}`;
  for (const format of KINDS) {
    const { data } = await session.send("Page.captureScreenshot", {
      format,
      ...(format === "webp" && { quality: QUALITY }),
    });
    writeFileSync(join(folder, `${name}.${format}`), Buffer.from(data, "base64"));
  }
  if (complaints.length > 0) console.error(name, complaints);
  await page.close();
}
