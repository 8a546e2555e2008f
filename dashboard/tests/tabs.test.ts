// Two tabs of one browser: what one does the other shows, and what one saw before is not done over it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { URL } from "./browser.ts";
import { registered, useBrowser } from "./pages.ts";

const browser = useBrowser();

test("what is done in one tab is seen in the other, and what that one asked before is refused", async () => {
  const flow = await registered("in-two-tabs", [
    { taskSeq: 1, taskName: "first", program: "nothing", queue: "nowhere" },
    { taskSeq: 2, taskName: "second", program: "nothing", queue: "nowhere" },
  ]);
  const context = await browser().newContext({ locale: "en-US", reducedMotion: "reduce" });
  const [one, other] = [await context.newPage(), await context.newPage()];
  const complaints: string[] = [];
  for (const page of [one, other]) {
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(`${URL}/#/flows/${flow}?task=1`);
    await page.locator(".why").waitFor();
  }
  await one.getByRole("button", { name: "Ignore task" }).click();
  await one.locator(".effect li", { hasText: "1 task will be passed over" }).waitFor();
  await other.getByRole("button", { name: "Pause" }).click();
  await other.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await one.locator(".badge.paused").waitFor();
  // The effect was told for how the flow stood then.
  await one.getByRole("dialog").getByRole("button", { name: "Ignore" }).click();
  await one.getByRole("dialog").getByRole("alert").waitFor();
  await one.getByRole("dialog").getByRole("button", { name: "Leave it" }).click();
  await other.locator(".operations").getByRole("button", { name: "Undo" }).click();
  await one.locator(".badge.paused").waitFor({ state: "detached" });
  await one.getByRole("button", { name: "Ignore task" }).click();
  await one.getByRole("dialog").getByRole("button", { name: "Ignore" }).click();
  for (const page of [one, other]) await page.locator(".pane-head", { hasText: "passed over" }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});
