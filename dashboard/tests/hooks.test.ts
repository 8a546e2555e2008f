// Hooks, and the ledger of what they told.
import { test } from "node:test";
import { showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

test("a hook is added, tried, paused, and what it told is kept", async () => {
  await shown("#/hooks", async (page) => {
    await page.getByText("No hook yet").waitFor();
    await page.getByRole("button", { name: "New hook" }).click();
    await page.getByLabel("Name").fill("ops");
    await page.getByLabel("How").selectOption("webhook");
    await page.getByLabel(/^Whom/).fill("no address");
    await page.getByRole("button", { name: "Add" }).click();
    await page.getByRole("dialog").locator(".wrong").first().waitFor();
    await page.getByLabel(/^Whom/).fill("http://127.0.0.1:9/told");
    await page.getByLabel("slot.missed").check();
    await page.getByRole("button", { name: "Add" }).click();
    await page.locator(".described", { hasText: "flow.failed, slot.missed" }).waitFor();
    await page.getByText("It told nothing so far.").waitFor();
    await page.getByRole("button", { name: "Test" }).click();
    const told = page.locator("tbody tr", { hasText: "hook.test" }); // flows of other tests may fail meanwhile
    await told.locator(".wrong").waitFor(); // nobody listens there, or it may not be asked
    await told.getByRole("button", { name: "Tell it again" }).click();
    await page.getByText("It is told again").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.locator(".badge.paused").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator(".badge.running").waitFor();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("slot.missed").uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".described", { hasText: /· flow.failed$/ }).waitFor();
    await page.getByRole("link", { name: "delivered", exact: true }).click();
    await page.getByText("It told nothing like that.").waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByText("is given up").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("Hook ops is deleted").waitFor();
    await page.getByText("No hook yet").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator("tbody tr", { hasText: "ops" }).waitFor();
  });
});
