// Workers and queues as they are, limits and strikes as they are set.
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, openPage, until } from "./browser.ts";
import { registered, showing, useBrowser } from "./pages.ts";

const browser = useBrowser();
const shown = showing(browser);

test("workers and queues are shown live, with what holds what waits", async () => {
  await registered("for-gpus", [{ taskSeq: 1, program: "nothing", queue: "gpu", dependsOn: [] }]);
  await shown("#/workers", async (page) => {
    await page.locator("table", { hasText: "Workers" }).locator("tbody tr", { hasText: "pid" }).waitFor();
    await page.locator("tr", { hasText: "gpu" }).getByText("no live worker serves it").waitFor();
    await page.locator("tbody tr", { hasText: "for-gpus" }).waitFor();
  });
});

test("a limit is set, edited, paused and removed in place, and each is undone", async () => {
  await shown("#/limits", async (page) => {
    const line = page.locator("tbody tr", { hasText: "queue nightly" });
    await page.getByText("Nothing is limited or paused").waitFor();
    await page.keyboard.press("n");
    await page.getByLabel("Its name").fill("nightly");
    await page.getByLabel("Units of tasks at once").fill("-4");
    await page.getByRole("button", { name: "Set" }).click();
    await page.getByRole("dialog").getByRole("alert").waitFor();
    await page.getByLabel("Units of tasks at once").fill("4");
    await page.getByRole("button", { name: "Set" }).click();
    await line.getByRole("cell", { name: "4 at once", exact: true }).waitFor();
    await line.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Units of tasks at once").fill("8");
    await page.getByRole("button", { name: "Set" }).click();
    await line.getByRole("cell", { name: "8 at once", exact: true }).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await line.getByRole("cell", { name: "4 at once", exact: true }).waitFor();
    await line.getByRole("button", { name: "Pause" }).click();
    await line.locator(".badge.paused").waitFor();
    await line.getByRole("button", { name: "Remove" }).click();
    await line.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo" }).click();
    await line.locator(".badge.paused").waitFor();
    await line.getByRole("button", { name: "Remove" }).click();
    await page.getByText("Nothing is limited or paused").waitFor();
  });
});

test("a strike is made and taken away", async () => {
  await shown("#/limits", async (page) => {
    await page.getByRole("button", { name: "New strike" }).click();
    await page.getByLabel("Program").fill("load");
    await page.getByLabel("Parameter").fill("customer");
    await page.getByLabel(/^Value/).fill("17");
    await page.getByRole("button", { name: "Strike", exact: true }).click();
    const line = page.locator("tbody tr", { hasText: "customer" });
    await line.getByText("17", { exact: true }).waitFor();
    await until(async () => (await api<{ strikes: unknown[] }>("strikes")).strikes.length === 1);
    await line.getByRole("button", { name: "Remove" }).click();
    await line.waitFor({ state: "detached" });
  });
});

test("of several partitions each has a share of a limit, which is told beside it", async () => {
  const { page, complaints } = await openPage(browser(), "#/limits", {
    url: process.env.FLOWER_UI_EMPTY_URL ?? "",
  });
  await page.getByLabel("Token").fill("s3cret-token");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing is limited or paused").waitFor();
  await page.keyboard.press("n");
  await page.getByLabel("Its name").fill("nightly");
  await page.getByLabel("Units of tasks at once").fill("6");
  await page.getByRole("button", { name: "Set" }).click();
  const line = page.locator("tbody tr", { hasText: "queue nightly" });
  await line
    .locator(".shares", { hasText: /^at once, by partition: 0: \d.*, 1: \d.*, 2: \d.*, 3: \d/ })
    .waitFor();
  await line.getByRole("button", { name: "Remove" }).click();
  await page.getByText("Nothing is limited or paused").waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});
