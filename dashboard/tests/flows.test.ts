// Flows of the list are chosen, by mouse and by keyboard, and something is done to all of them: said before, and undone.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { api, until } from "./browser.ts";
import { put, showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

interface Flow {
  status: string;
  pausedTs: string | null;
  tasks: { taskPriority: number; status: string }[];
}

/** Flows that wait for a queue that nobody serves, the oldest first. */
async function waiting(workflow: string, flows: number): Promise<string[]> {
  const tasks = [
    { taskSeq: 1, program: "nothing", queue: "nowhere", taskPriority: 4 },
    { taskSeq: 2, program: "nothing", queue: "nowhere", taskPriority: 4 },
  ];
  await api(`workflows/${workflow}`, put({ tasks }));
  const found: string[] = [];
  for (let flow = 0; flow < flows; flow += 1) {
    found.push((await api<{ taskFlowId: string }>(`register/${workflow}`, { method: "POST" })).taskFlowId);
  }
  await until(async () => (await api<{ flows: [] }>(`flows?taskId=${workflow}`)).flows.length === flows);
  return found;
}

async function howMany(flows: string[], is: (flow: Flow) => boolean): Promise<number> {
  const found = await Promise.all(flows.map((flow) => api<Flow>(`flows/${flow}`)));
  return found.filter(is).length;
}

async function boxes(page: Page, many: number) {
  const found = page.locator("td.pick input");
  await until(async () => (await found.count()) === many);
  return found;
}

const isPaused = ({ pausedTs }: Flow) => pausedTs !== null;

test("a range is chosen with shift, paused with a preview, and goes on when that is undone", async () => {
  const flows = await waiting("held-together", 5);
  await shown("#/flows?taskId=held-together", async (page) => {
    const box = await boxes(page, 5);
    await box.nth(1).click();
    await page.getByText("1 flow chosen").waitFor();
    await box.nth(3).click({ modifiers: ["Shift"] });
    await page.getByText("3 flows chosen").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("heading", { name: "Pause 3 flows" }).waitFor();
    await page.getByText("In all: 3 flows: nothing more starts").waitFor();
    await page.getByLabel("Why").fill("<b>stocktaking</b>");
    assert.equal(await howMany(flows, isPaused), 0);
    await page.getByRole("button", { name: "Pause 3 flows" }).click();
    await page.getByText("Pause: 3 flows done, 0 refused").waitFor();
    await until(async () => (await howMany(flows, isPaused)) === 3);
    assert.equal(await howMany(flows.slice(1, 4), isPaused), 3); // the newest is the first line
    assert.equal(await page.locator("td.pick input:checked").count(), 0);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Undone in 3 flows").waitFor();
    await until(async () => (await howMany(flows, isPaused)) === 0);
  });
});

test("a keyboard is enough to choose flows, and to give them another priority and take it back", async () => {
  const flows = await waiting("hurried", 4);
  const has = (priority: number) => (flow: Flow) =>
    flow.tasks.every(({ taskPriority }) => taskPriority === priority);
  await shown("#/flows?taskId=hurried", async (page) => {
    await boxes(page, 4);
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByText("1 flow chosen").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("Shift+X");
    await page.getByText("3 flows chosen").waitFor();
    await page.keyboard.press("x");
    await page.getByText("2 flows chosen").waitFor();
    await page.keyboard.press("y");
    await page.getByLabel("Priority, −20 (first) to 19").fill("-7");
    await page.getByRole("button", { name: "Change 2 flows" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("Priority: 2 flows done, 0 refused").waitFor();
    await until(async () => (await howMany(flows, has(-7))) === 2);
    await page.getByRole("button", { name: "Undo" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("Undone in 2 flows").waitFor();
    await until(async () => (await howMany(flows, has(4))) === 4);
    await page.keyboard.press("x");
    await page.getByText("1 flow chosen").waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("1 flow chosen").waitFor({ state: "detached" });
  });
});

test("all that match are cancelled, also those that are not shown, and none that came after", async () => {
  const flows = await waiting("crowd", 53);
  await api(`flows/${flows[52]}/cancel`, { method: "POST" });
  await until(async () => (await howMany(flows.slice(52), ({ status }) => status === "Ignore")) === 1);
  await shown("#/flows?taskId=crowd&status=wait", async (page) => {
    await boxes(page, 50);
    await page.getByLabel("Choose all flows that are shown").click();
    await page.getByText("50 flows chosen").waitFor();
    await page.getByRole("button", { name: "Choose all that match" }).click();
    await page.getByText("All flows that match").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText("In all: 104 tasks will be cut off, 52 flows end").waitFor();
    await page.getByRole("button", { name: "Leave it" }).click();
    assert.equal(await howMany(flows, ({ status }) => status === "Ignore"), 1);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Cancel 52 flows" }).click();
    await page.getByText("Cancel: 52 flows done, 0 refused").waitFor();
    await page.getByText("No flow is like that.").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Undone in 52 flows").waitFor();
  });
  await until(async () => (await howMany(flows, ({ status }) => status === "Wait")) === 52);
});

test("flows that would refuse are named before, with the reason, and nothing is asked of them alone", async () => {
  const [first = "", second = ""] = await waiting("over", 2);
  await api(`flows/${first}/cancel`, { method: "POST" });
  await until(async () => (await howMany([first], ({ status }) => status === "Ignore")) === 1);
  await shown("#/flows?taskId=over", async (page) => {
    const box = await boxes(page, 2);
    await box.nth(1).click(); // the older one
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator(".effect li.refuses", { hasText: "it has ended (Ignore)" }).waitFor();
    assert.ok(await page.getByRole("button", { name: "Cancel 0 of 1 flow" }).isDisabled());
    await page.keyboard.press("Escape");
    await box.nth(0).click();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText("In all: 2 tasks will be cut off, 1 flow ends, 1 flow will refuse").waitFor();
    await page.getByRole("button", { name: "Cancel 1 of 2 flows" }).click();
    await page.getByText("1 flow done, 1 refused:").waitFor();
    await page.getByText(`flow ${first}: it has ended`).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByText("2 flows chosen").waitFor({ state: "detached" });
  });
  assert.equal(await howMany([second], ({ status }) => status === "Ignore"), 1);
});
