// What somebody who is called at night wants next is one click away.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { api, FLOWS, statusOf, until } from "./browser.ts";
import { put, registered, showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

before(async () => {
  for (const flow of [FLOWS.failed, FLOWS.mapped]) {
    await until(async () => (await statusOf(flow ?? "")) === "Suspend");
  }
});

test("under its error stands what a task wrote last, and the whole log is a click away", async () => {
  await shown(`#/flows/${FLOWS.failed}`, async (page) => {
    await page.locator(".error .message").waitFor();
    await page.locator(".last-lines .bad", { hasText: "has no column day" }).waitFor();
    await page.getByRole("button", { name: "Whole log" }).click();
    await page.locator(".lines .line.bad").waitFor();
  });
});

test("an error is copied with its traceback, also where browsers give pages no clipboard", async () => {
  await shown(`#/flows/${FLOWS.failed}`, async (page) => {
    await page.locator(".error .message").waitFor();
    await page.evaluate(() => {
      Object.defineProperty(navigator, "clipboard", { value: undefined });
      document.addEventListener("copy", () => {
        const { activeElement } = document;
        document.title = activeElement instanceof HTMLTextAreaElement ? activeElement.value : "";
      });
    });
    await page.getByRole("button", { name: "Copy the error" }).click();
    await page.getByText("Copied", { exact: true }).waitFor();
    assert.match(await page.title(), /Traceback[\s\S]*raise Fatal[\s\S]*has no column 'day'/);
  });
});

test("what the head of a flow counts leads to just these tasks, in which keys go on", async () => {
  await shown(`#/flows/${FLOWS.mapped}?task=0`, async (page) => {
    await page.locator(".counts").getByRole("link", { name: "failed" }).click();
    await page.getByText("5 of 63 tasks: failed").waitFor();
    const lines = page.locator(".task-list li");
    await until(async () => (await lines.count()) === 5);
    await page.keyboard.press("j");
    await page.locator(".task-list .chosen", { hasText: "image-7.jpg is no image" }).waitFor();
    await page.keyboard.press("j");
    await page.locator(".task-list .chosen", { hasText: "image-20.jpg is no image" }).waitFor();
    await page.keyboard.press("k");
    await page.locator(".task-list .chosen", { hasText: "image-7.jpg is no image" }).waitFor();
    await page.getByRole("link", { name: "Show all" }).click();
    await until(async () => (await lines.count()) > 5);
  });
});

test("a task that waits leads to what holds it", async () => {
  const flow = await registered("held-back", [
    { taskSeq: 1, taskName: "held", program: "nothing", queue: "held", dependsOn: [] },
    { taskSeq: 2, taskName: "asks", program: "@approval", dependsOn: [], parameters: { title: "go on?" } },
  ]);
  await api("limits/queue/held", put({ isPaused: true, reason: "new disks" }));
  await shown(`#/flows/${flow}?task=1`, async (page) => {
    await page.getByText("Paused: queue held, by api: new disks.").waitFor();
    await page.locator(".why").getByRole("link", { name: "Its limit or pause" }).click();
    await page
      .locator("tr.chosen", { hasText: "queue held" })
      .getByRole("button", { name: "Resume" })
      .click();
    await page.goto(page.url().replace(/#.*/, `#/flows/${flow}?task=1`));
    await page.getByText("No live worker serves the queue held.").waitFor();
    await page.locator(".why").getByRole("link", { name: "Workers and queues" }).click();
    await page.getByRole("heading", { name: "Workers" }).waitFor();
    await page.goto(page.url().replace(/#.*/, `#/flows/${flow}?task=2`));
    await page.locator(".why").getByRole("link", { name: "Answer it" }).click();
    await page.locator(".pane .choices").getByRole("button", { name: "Yes" }).click();
    const answered = async () => (await api<{ status: string }>(`flows/${flow}/tasks/2`)).status;
    await until(async () => (await answered()) === "Finish");
  });
  await api("limits/queue/held", { method: "DELETE" });
  await api(`flows/${flow}/cancel`, { method: "POST" });
});

test("each fault leads to the log of its last task", async () => {
  await shown("#/errors", async (page) => {
    await page.locator("tbody tr", { hasText: "is no image" }).getByRole("link", { name: "Log" }).click();
    await page.locator(".lines .line").first().waitFor();
  });
});

test("a failed flow is compared with the last of its workflow that finished, unless one says otherwise", async () => {
  const tasks = (broken: boolean) => [
    { taskSeq: 1, taskName: "load", program: "load", dependsOn: [], parameters: { broken } },
  ];
  const good = await registered("compared", tasks(false));
  await until(async () => (await statusOf(good)) === "Finish");
  const bad = await registered("compared", tasks(true));
  await until(async () => (await statusOf(bad)) === "Suspend");
  await shown(`#/flows/${bad}`, async (page) => {
    await page.getByRole("link", { name: "Compare", exact: true }).click();
    await page.locator(".compare li", { hasText: /load.*failed.*finished/ }).waitFor();
    assert.match(page.url(), new RegExp(`with=${good}`));
    await page.getByLabel("Compare with").selectOption("this flow, now");
    await page.getByText("0 of 1 tasks differ").waitFor();
  });
});
