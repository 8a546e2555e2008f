// Schedules: written with their slots beside them, paused, looked back at, backfilled.
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, until } from "./browser.ts";
import { post, showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

test("a schedule is written beside its next slots, and a change of clocks is marked", async () => {
  await shown("#/schedules", async (page) => {
    await page.getByRole("link", { name: "New schedule" }).click();
    await page.getByLabel("Workflow").fill("reports/monthly");
    await page.getByLabel("Cron").fill("61 * * * *");
    await page
      .locator(".field", { has: page.getByLabel("Cron") })
      .locator(".wrong")
      .waitFor();
    await page.getByLabel("Cron").fill("30 2 * * *");
    await page.getByLabel("Time zone").fill("Europe/Berlin");
    await page.getByLabel("Not before").fill("2027-03-26T00:00:00Z");
    await page.locator(".preview .shift").first().waitFor();
    assert.equal(await page.locator(".preview tbody tr").count(), 10);
    await page.getByLabel("Parameters").fill('{"day": {"$slot": "date"}}');
    await page.getByRole("button", { name: "Add the schedule" }).click();
    await page
      .locator(".field", { has: page.getByLabel(/^Name/) })
      .locator(".wrong")
      .waitFor();
    await page.getByLabel(/^Name/).fill("sums & <i>more");
    await page.getByRole("button", { name: "Add the schedule" }).click();
    await page.locator(".badge", { hasText: "active" }).waitFor();
    await page.locator(".beside .preview tbody tr").first().waitFor();
    await page.keyboard.press("v");
    assert.equal(await page.getByLabel("Cron").inputValue(), "30 2 * * *");
    await page.getByLabel("Cron").fill("@hourly");
    await page.getByRole("button", { name: "Save the schedule" }).click();
    await page.getByText("Saved").waitFor();
    await page.locator(".bar .mono", { hasText: "@hourly" }).waitFor();
  });
});

test("a schedule is paused with a reason, which is undone", async () => {
  await shown("#/schedules", async (page) => {
    await page.getByRole("link", { name: "month-end" }).click();
    await page.locator(".badge", { hasText: "active" }).waitFor();
    await page.keyboard.press("p");
    await page.getByLabel("Why").fill("stocktaking");
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await page.locator(".badge.paused", { hasText: "paused: stocktaking" }).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator(".badge", { hasText: "active" }).waitFor();
    await page.getByRole("button", { name: "Start a flow now" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Start" }).click();
    await page.waitForURL((address) => address.hash.startsWith("#/flows/"));
    await page.locator(".badge.finished").waitFor();
  });
});

test("the ledger of slots is a calendar, and each slot leads to its flow", async () => {
  await until(async () => {
    const { slots } = await api<{ slots: unknown[] }>("schedules/ticks/slots?state=fired");
    return slots.length >= 1;
  });
  await shown("#/schedules/ticks", async (page) => {
    await page.locator("a.day[aria-current]", { hasText: /[1-9]/ }).waitFor();
    await page.getByRole("link", { name: /: \d+ fired/ }).waitFor();
    await page.locator("tbody tr", { hasText: "fired" }).first().getByRole("link").click();
    await page.locator(".badge.finished").waitFor();
    await page.goBack();
    await page.getByRole("link", { name: "‹ Earlier" }).click();
    await page.getByText(/No slot of .* has a fate/).waitFor();
    await page.getByRole("link", { name: "Now ›" }).click();
    await page.locator("tbody tr", { hasText: "fired" }).first().waitFor();
  });
});

test("a backfill says beforehand which slots it is about, and shows how far it is", async () => {
  await api(
    "schedules",
    post({ schedule: "catching-up", taskId: "reports/monthly", cron: "0 4 * * *", timezone: "UTC" }),
  );
  await shown("#/schedules/catching-up?view=backfills", async (page) => {
    await page.getByText("No backfill of this schedule").waitFor();
    await page.getByRole("button", { name: "New backfill" }).click();
    await page.getByText(/7 slots, .*: 7 get a flow/).waitFor();
    await page.getByLabel("Slots from (your time)").fill("2026-11-25T00:00:00");
    await page.getByLabel("up to").fill("2026-11-27T23:00:00");
    await page.getByRole("button", { name: "Start 3 slots" }).waitFor();
    await page.getByLabel("Flows at once").fill("3");
    await page.getByRole("button", { name: "Start 3 slots" }).click();
    await page.getByText("A backfill of 3 slots is under way").waitFor();
    await page.locator("tbody tr", { hasText: "3/3" }).waitFor();
    await page.locator("tbody tr", { hasText: "finished" }).waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("Schedule catching-up is deleted").waitFor();
    const line = page.locator("tbody tr", { hasText: "catching-up" });
    await line.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo" }).click();
    await line.waitFor();
  });
});
