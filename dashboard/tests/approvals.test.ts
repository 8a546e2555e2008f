// Approvals answered in place, and signals sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, statusOf, until } from "./browser.ts";
import { post, registered, showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

test("an approval is answered in place, with what its form asks for", async () => {
  const flow = await registered("discount", [
    { taskSeq: 1, taskName: "read", program: "read_rows", dependsOn: [] },
    {
      taskSeq: 2,
      taskName: "decide",
      program: "@approval",
      dependsOn: ["read"],
      parameters: {
        title: "Discount of <b>30 %</b>?",
        text: "For the orders beside this.",
        shows: { orders: { $from: "read", path: "/rows" } },
        form: {
          type: "object",
          required: ["percent"],
          properties: { percent: { type: "integer", maximum: 30 }, note: { type: "string" } },
        },
      },
    },
  ]);
  await shown("#/approvals", async (page) => {
    await page.getByRole("link", { name: "Discount of <b>30 %</b>?" }).click();
    await page.getByText("For the orders beside this.").waitFor();
    await page.locator(".pane .json", { hasText: "orders" }).waitFor();
    await page.getByLabel("percent").fill("40");
    await page.getByRole("button", { name: "Answer" }).click();
    await page
      .locator(".field", { has: page.getByLabel("percent") })
      .locator(".wrong")
      .waitFor();
    await page.getByLabel("percent").fill("20");
    await page.getByRole("button", { name: "Answer" }).click();
    await page.getByText("Answered", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Discount of <b>30 %</b>?" }).waitFor({ state: "detached" });
  });
  await until(async () => (await statusOf(flow)) === "Finish");
});

test("yes and no are two buttons, and a keyboard is enough for them", async () => {
  const flow = await registered("yes-or-no", [
    { taskSeq: 1, program: "@approval", dependsOn: [], parameters: { title: "Send it?" } },
  ]);
  await shown("#/approvals", async (page) => {
    await page.getByRole("link", { name: "Send it?" }).waitFor();
    await page.keyboard.press("j"); // the one that was asked last comes first
    await page.locator(".pane h2", { hasText: "Send it?" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Yes" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("Answered", { exact: true }).waitFor();
  });
  await until(async () => (await statusOf(flow)) === "Finish");
});

test("a signal is sent to all that await it, and says who took it", async () => {
  const flow = await registered("paid", [
    { taskSeq: 1, program: "@event", dependsOn: [], parameters: { name: "order.paid" } },
  ]);
  await shown("#/approvals?view=signals", async (page) => {
    await page.getByText("No signal is kept.").waitFor();
    await until(async () => {
      const { tasks } = await api<{ tasks: { awaiting: unknown }[] }>(`flows/${flow}`);
      return tasks[0]?.awaiting !== null;
    });
    await page.getByLabel("Name", { exact: true }).fill("order.paid");
    await page.getByLabel("Payload (JSON)").fill("{not JSON");
    await page.getByText("This is no JSON").waitFor();
    assert.ok(await page.getByRole("button", { name: "Send" }).isDisabled());
    await page.getByLabel("Payload (JSON)").fill('{"order": 17}');
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("Taken by 1 task").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("order.shipped");
    await page.getByLabel("Keep it for so many seconds").fill("600");
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("tbody tr", { hasText: "order.shipped" }).waitFor();
  });
  await until(async () => (await statusOf(flow)) === "Finish");
});

test("a signal that is kept is deleted, by mouse and by keyboard, after one question", async () => {
  for (const [id, key] of [
    ["order/1", "<i>1</i>"],
    ["order/2", "2"],
  ]) {
    await api("signals", post({ name: "order.returned", key, id, keepSeconds: 600 }));
  }
  const kept = async () => {
    const { signals } = await api<{ signals: { id: string }[] }>("signals");
    return signals.map(({ id }) => id).filter((id) => id.startsWith("order/"));
  };
  await shown("#/approvals?view=signals", async (page) => {
    const line = (key: string) => page.locator("tbody tr", { hasText: key });
    await line("<i>1</i>").getByRole("button", { name: "Delete" }).click();
    await page.getByText("with the key <i>1</i>: tasks that come to await it").waitFor();
    await page.getByRole("button", { name: "Leave it" }).click();
    assert.deepEqual(await kept(), ["order/1", "order/2"]);
    await line("<i>1</i>").getByRole("button", { name: "Delete" }).click();
    await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("The kept signal order.returned is deleted").waitFor();
    await line("<i>1</i>").waitFor({ state: "detached" });
    await page.keyboard.press("k");
    await page.keyboard.press("j");
    const other = line("order.returned");
    while ((await other.getAttribute("class")) !== "chosen") await page.keyboard.press("j");
    await page.keyboard.press("d");
    await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
    await other.waitFor({ state: "detached" });
  });
  assert.deepEqual(await kept(), []);
});

test("a rerun asks again, or leaves the answers that there are, and says beforehand which", async () => {
  const flow = await registered("asked-once", [
    { taskSeq: 1, taskName: "read", program: "read_rows", dependsOn: [] },
    { taskSeq: 2, taskName: "ok", program: "@approval", dependsOn: ["read"], parameters: { title: "Go?" } },
  ]);
  const answered = () =>
    api(`flows/${flow}/tasks/ok/answer`, post({ answer: { approved: true } })).then(
      () => true,
      () => false, // nobody is asked yet
    );
  await until(answered);
  await until(async () => (await statusOf(flow)) === "Finish");
  await shown(`#/flows/${flow}?task=1`, async (page) => {
    await page.getByRole("button", { name: "Rerun task" }).click();
    await page.getByText(/2 tasks will run again/).waitFor();
    await page.getByLabel("waits that have ended keep what came of them").check();
    await page.getByText(/1 task will run again/).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Rerun task" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });
  await until(async () => (await statusOf(flow)) === "Finish"); // nobody was asked again
});
