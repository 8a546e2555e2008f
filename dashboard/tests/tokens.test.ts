// What an API that asks for tokens shows. This file is run last: from here on it does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { control, FLOWS, openPage } from "./browser.ts";
import { useBrowser } from "./pages.ts";

const browser = useBrowser();

test("an API that asks for tokens from now on asks for one, and the page stays where it is", async () => {
  const flow = FLOWS.waiting ?? "";
  const opened = await openPage(browser(), `#/flows/${flow}?task=2`);
  const { page } = opened;
  await page.locator(".why").waitFor();
  await control("stop-api");
  await control("guard-api");
  await page.getByLabel("Token").fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("nobody has this token").waitFor();
  await page.getByLabel("Token").fill("s3cret-token");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator(".why").waitFor();
  await page.locator(".who", { hasText: "alice" }).waitFor();
  assert.equal(await page.evaluate(() => document.cookie), "", "no script reads the session");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await page.locator(".badge.paused", { hasText: "paused by alice" }).waitFor();
  await page.goto(page.url().replace(/#.*/, "#/audit?kind=refused"));
  await page
    .locator(".audit tbody tr", { hasText: /unknown.*was refused, from.*count \d/ })
    .first()
    .waitFor();
  await page.getByRole("button", { name: /Log out/ }).click();
  await page.getByLabel("Token").waitFor();
  await page.close();
});

test("two engines of one host keep a session each", async () => {
  const context = await browser().newContext({ locale: "en-US" });
  const [page, other] = [await context.newPage(), await context.newPage()];
  for (const [tab, address] of [
    [page, process.env.FLOWER_UI_URL],
    [other, process.env.FLOWER_UI_EMPTY_URL],
  ] as const) {
    await tab.goto(`${address}/#/hooks`);
    await tab.getByLabel("Token").fill("s3cret-token");
    await tab.keyboard.press("Enter");
    await tab.locator(".who", { hasText: "alice" }).waitFor();
  }
  await other.getByRole("button", { name: /Log out/ }).click();
  await other.getByLabel("Token").waitFor();
  await page.reload();
  await page.locator(".who", { hasText: "alice" }).waitFor();
  await context.close();
});

test("who may only read sees no button that the server would refuse", async () => {
  const { page } = await openPage(browser(), `#/flows/${FLOWS.failed}`);
  await page.getByLabel("Token").fill("other-token");
  await page.keyboard.press("Enter");
  await page.locator(".error .message").waitFor();
  assert.equal(await page.locator(".operations").count(), 0);
  await page.goto(page.url().replace(/#.*/, "#/flows"));
  await page.locator("table.flows tbody tr").first().waitFor();
  assert.equal(await page.locator(".pick").count(), 0);
  const refused = await page.evaluate(
    async ([flow]) => (await fetch(`flows/${flow}/cancel`, { method: "POST", body: "{}" })).status,
    [FLOWS.failed],
  );
  assert.equal(refused, 403);
  await page.close();
});
