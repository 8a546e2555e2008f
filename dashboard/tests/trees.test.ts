// Maps, drawn as one task with counts, and their items; sub-flows, each way through the tree that they are in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { api, FLOWS, statusOf, until } from "./browser.ts";
import { post, put, registered, showing, useBrowser } from "./pages.ts";

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

test("before a pause and its end one sees which children follow, and what will hold these", async () => {
  const part = [{ taskSeq: 1, program: "nothing", queue: "nowhere", dependsOn: [] }];
  await api("workflows/foretold-part", put({ tasks: part }));
  const flow = await registered("foretold-parent", [
    { taskSeq: 1, program: "@flow", dependsOn: [], parameters: { workflow: "foretold-part" } },
  ]);
  const children = async () =>
    (await api<{ flows: { taskFlowId: string }[] }>(`flows?parent=${flow}`)).flows.map(
      ({ taskFlowId }) => taskFlowId,
    );
  await until(async () => (await children()).length === 1);
  const [child] = await children();
  await shown(`#/flows/${flow}`, async (page) => {
    const dialog = page.getByRole("dialog");
    const told = (words: string) => dialog.locator(".effect li", { hasText: words }).waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await told(`Paused: all of flow ${child}`);
    await dialog.getByRole("button", { name: "Pause" }).click();
    await page.locator(".badge.paused").waitFor();
    await until(async () => (await api<{ pausedTs: string | null }>(`flows/${child}`)).pausedTs !== null);
    await api("limits/workflow/foretold-part", put({ isPaused: true, reason: "new disks" }));
    await page.getByRole("button", { name: "Resume" }).click();
    await told(
      `Resumed: all of flow ${child} (1 task must wait: Paused: workflow foretold-part, by api: new disks.)`,
    );
    await dialog.getByRole("button", { name: "Leave it" }).click();
  });
  await api("limits/workflow/foretold-part", { method: "DELETE" });
  await api(`flows/${flow}/cancel`, { method: "POST" });
});

test("a map says how many of its items run at once, what it tolerates, and by what they are told apart", async () => {
  const flow = await registered("careful-images", [
    { taskSeq: 1, taskName: "find", program: "find_images", dependsOn: [], parameters: { count: 21 } },
    {
      taskSeq: 2,
      taskName: "resize",
      program: "@map",
      dependsOn: ["find"],
      parameters: {
        over: { $from: "find" },
        program: "resize",
        as: "image",
        parameters: { width: 800 },
        ...{ key: "", limit: 2, tolerate: 0.2, outcomes: true },
      },
    },
  ]);
  await until(async () => ["Suspend", "Finish"].includes(await statusOf(flow)));
  await shown(`#/flows/${flow}?task=2`, async (page) => {
    await page
      .locator(".bounds", { hasText: "0 of at most 2 items run · 2 tolerated of at most 4 (20 %)" })
      .waitFor();
    await page.locator(".bounds", { hasText: "told apart by their elements" }).waitFor();
    await page.locator(".bounds", { hasText: "its result says what became of each" }).waitFor();
    await page.locator(".item-list li", { hasText: "image-3.jpg" }).getByRole("button").click();
    await page.locator(".pane-head", { hasText: "resize › item 3 image-3.jpg" }).waitFor();
    await page.getByRole("link", { name: "List", exact: true }).click();
    await page.locator(".task-list li", { hasText: "resize[image-3.jpg]" }).waitFor();
  });
});

test("items that are ready have no place among those of their map that run", async () => {
  const given = { over: [1, 2, 3, 4, 5], program: "nothing", as: "n", limit: 2 };
  const flow = await registered("ready-items", [
    { taskSeq: 1, program: "@map", queue: "nowhere", dependsOn: [], parameters: given },
  ]);
  await shown(`#/flows/${flow}?task=1`, async (page) => {
    await page.locator(".chip", { hasText: "5 ready" }).waitFor();
    await page.locator(".bounds", { hasText: /^0 of at most 2 items run$/ }).waitFor();
  });
});

test("what is known of a flow as a whole is told, with the way to where it belongs", async () => {
  const source = FLOWS.finished ?? "";
  const fork = await api<{ taskFlowId: string }>(`flows/${source}/fork`, post({ fromTasks: [1] }));
  const { flows } = await api<{ flows: { taskFlowId: string }[] }>(`flows?parent=${FLOWS.tree}`);
  const fired = await api<{ flows: { taskFlowId: string }[] }>("flows?schedule=ticks");
  await shown(`#/flows/${fork.taskFlowId}?view=about`, async (page) => {
    const fact = (name: string) => page.locator(`.flow-facts dt:text-is("${name}") + dd`);
    await fact("Forked from").getByRole("link").waitFor();
    await fact("Registered").getByText("by api").waitFor();
    await fact("Version").getByRole("link").waitFor();
    await fact("Ended").waitFor();
    await page.goto(page.url().replace(/#.*/, `#/flows/${flows[0]?.taskFlowId}?view=about`));
    await fact("Child of").getByText("task").waitFor();
    await page.goto(page.url().replace(/#.*/, `#/flows/${fired.flows[0]?.taskFlowId}?view=about`));
    await fact("Slot").getByRole("link", { name: "ticks" }).waitFor();
    await page.goto(page.url().replace(/#.*/, `#/flows/${FLOWS.waiting}?view=about`));
    await fact("Registered").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await fact("Paused").getByText("by api").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await fact("Paused").waitFor({ state: "detached" });
  });
});
