// Ten thousand flows in a list, and an engine in which there is none yet.
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, openPage, until } from "./browser.ts";
import { post, put, showing, useBrowser } from "./pages.ts";

const FLOWS = 10_000;
const AT_ONCE = 1_000;
const browser = useBrowser();
const shown = showing(browser);

test("of ten thousand flows a page is shown at once, and more where somebody wants more", async () => {
  await api(
    "workflows/many",
    put({ tasks: [{ taskSeq: 1, program: "nothing", queue: "gpu", dependsOn: [] }] }),
  );
  const registrations = Array.from({ length: AT_ONCE }, () => ({ taskId: "many" }));
  for (let sent = 0; sent < FLOWS; sent += AT_ONCE) await api("register", post(registrations));
  await until(async () => {
    const body = { operation: "cancel", filter: { taskId: "many" }, dryRun: true };
    return (await api<{ matches: number }>("bulk", post(body))).matches === FLOWS;
  });
  await shown("#/flows?taskId=many", async (page) => {
    const lines = page.locator("table.flows tbody tr");
    await lines.first().waitFor();
    assert.equal(await lines.count(), 50);
    for (let page_ = 2; page_ <= 4; page_ += 1) {
      await page.getByRole("button", { name: "Show older flows" }).click();
      await until(async () => (await lines.count()) === 50 * page_);
    }
    for (let step = 0; step < 60; step += 1) await page.keyboard.press("j");
    await page.locator("tr.chosen").waitFor();
    await page.getByRole("link", { name: "Finished" }).click();
    await page.getByText("No flow is like that.").waitFor();
    await page.goto(page.url().replace(/#.*/, "#/workers"));
    await page.locator("tbody tr", { hasText: "many" }).getByText(FLOWS.toLocaleString()).waitFor();
  });
});

test("an engine without flows shows the lines that define and run a first workflow", async () => {
  const opened = await openPage(browser(), "#/flows", { url: process.env.FLOWER_UI_EMPTY_URL ?? "" });
  const { page } = opened;
  await page.getByLabel("Token").fill("s3cret-token");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "No flow yet" }).waitFor();
  const lines = (await page.locator(".beginning pre").first().textContent())?.split("\n") ?? [];
  assert.equal(lines.filter((line) => line !== "").length, 6, lines.join("\n"));
  for (const [section, words] of [
    ["workflows", "No workflow yet"],
    ["schedules", "No schedule yet"],
    ["approvals", "Nothing waits for an answer"],
    ["workers", "No live worker"],
    ["limits", "Nothing is limited or paused"],
    ["hooks", "No hook yet"],
    ["errors", "No task stands failed."],
  ]) {
    await page.goto(page.url().replace(/#.*/, `#/${section}`));
    await page.getByText(words ?? "", { exact: true }).waitFor();
  }
  assert.deepEqual(opened.complaints, []);
  await page.close();
});
