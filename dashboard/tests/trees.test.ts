// Maps, drawn as one task with counts, and their items; sub-flows, each way through the tree that they are in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FLOWS, statusOf, until } from "./browser.ts";
import { showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

test("a map's items are listed, filtered, and opened; a failed one opens first", async () => {
  await until(async () => (await statusOf(FLOWS.mapped ?? "")) === "Suspend");
  await shown(`#/flows/${FLOWS.mapped}`, async (page) => {
    await page.locator(".pane .error .message", { hasText: "is no image" }).waitFor();
    await page.locator(".pane-head", { hasText: "resize › item 7" }).waitFor();
    await page.getByRole("button", { name: "resize", exact: true }).first().click();
    await page.getByRole("tab", { name: "Items (60)" }).waitFor();
    await until(async () => (await page.locator(".pane .chips a").count()) === 2);
    assert.ok((await page.locator(".item-list li").count()) < 60, "only those that are seen are in the page");
    await page.locator(".pane .chips a", { hasText: "5 failed" }).click();
    await until(async () => (await page.locator(".item-list li").count()) === 5);
    await page.locator(".item-list button", { hasText: "image-33.jpg is no image" }).click();
    await page.locator(".pane-head", { hasText: "resize › item 33" }).waitFor();
    await page.getByRole("tab", { name: "Log" }).click();
    await page.locator(".line", { hasText: "image-33.jpg to 800" }).waitFor();
    await page.goBack();
    await page.goForward();
    await page.getByRole("link", { name: "List", exact: true }).click();
    await page.locator(".task-list li", { hasText: "resize[33]" }).waitFor();
  });
});

test("from a parent to its child and back, and the tree shows where one is", async () => {
  await shown(`#/flows/${FLOWS.tree}?task=1`, async (page) => {
    await page.locator(".child-line", { hasText: "finished" }).getByRole("link").click();
    await page.locator(".flow-head h1 a", { hasText: "region" }).waitFor();
    await page.getByRole("link", { name: "Tree", exact: true }).click();
    await page.locator(".tree-line.here", { hasText: "region" }).waitFor();
    await until(async () => (await page.locator(".tree-line").count()) === 5);
    await page.locator(".tree-line a", { hasText: "ledger" }).first().click();
    await page.locator(".tree-line.here", { hasText: "ledger" }).waitFor();
    await page.locator(".flow-head h1 a", { hasText: "↑" }).click();
    await page.locator(".flow-head h1 a", { hasText: "region" }).waitFor();
    await page.locator(".child-line", { hasText: "ledger" }).waitFor();
    await page.locator(".flow-head h1 a", { hasText: "↑" }).click();
    await page.locator(".flow-head h1 a", { hasText: "close-books" }).waitFor();
  });
});
