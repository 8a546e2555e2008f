// Failures that are alike are rerun and ignored together, and only these.
import { test } from "node:test";
import { api, until } from "./browser.ts";
import { put, showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

interface Flow {
  status: string;
  failedTasks: { program: string }[];
}

/** Flows of three tasks each, of which two fail, one of them only at its first attempt; behind it is the third. */
async function failing(workflow: string, flows: number): Promise<string[]> {
  const tasks = [
    { taskSeq: 1, taskName: "ask", program: "flaky", dependsOn: [] },
    { taskSeq: 2, taskName: "take", program: "take_stock", dependsOn: [] },
    { taskSeq: 3, taskName: "after", program: "nothing", dependsOn: ["ask"] },
  ];
  await api(`workflows/${workflow}`, put({ tasks }));
  const found: string[] = [];
  for (let flow = 0; flow < flows; flow += 1) {
    found.push((await api<{ taskFlowId: string }>(`register/${workflow}`, { method: "POST" })).taskFlowId);
  }
  await until(async () => {
    const { groups } = await api<{ groups: { tasks: number }[] }>(`errors?taskId=${workflow}`);
    return groups.length === 2 && groups.every(({ tasks: failed }) => failed === flows);
  });
  return found;
}

test("tasks that failed alike are rerun and ignored in one go, others stay as they are", async () => {
  const flows = await failing("alike", 3);
  await shown("#/errors", async (page) => {
    const line = page.locator("tbody tr", { hasText: "the warehouse did not answer" });
    await line.getByRole("button", { name: "Rerun" }).click();
    await page.getByRole("heading", { name: "Rerun 3 failed tasks" }).waitFor();
    await page.getByLabel("What runs again").selectOption("dependents");
    await page.locator(".effect li", { hasText: "1 task will run again" }).nth(2).waitFor();
    await page.getByRole("button", { name: "Rerun in 3 flows" }).click();
    await page.getByText("Rerun: 3 flows done, 0 refused").waitFor();
    await line.waitFor({ state: "detached" });
    for (const flow of flows) {
      await until(async () => {
        const { status, failedTasks } = await api<Flow>(`flows/${flow}`);
        return status === "Suspend" && failedTasks.every(({ program }) => program === "take_stock");
      });
    }
    const other = page.locator("tbody tr", { hasText: "nothing is left of item N" });
    await other.waitFor();
    await page.keyboard.press("j");
    while ((await other.getAttribute("class")) !== "chosen") await page.keyboard.press("j");
    await page.keyboard.press("i");
    await page.getByRole("heading", { name: "Ignore 3 failed tasks" }).waitFor();
    await page
      .locator(".effect li", { hasText: "1 task will be passed over, the flow ends" })
      .nth(2)
      .waitFor();
    await page.getByLabel("Why").fill("sold out");
    await page.getByRole("button", { name: "Ignore in 3 flows" }).click();
    await page.getByText("Ignore: 3 flows done, 0 refused").waitFor();
    for (const flow of flows) await until(async () => (await api<Flow>(`flows/${flow}`)).status === "Finish");
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Undone in 3 flows").waitFor();
    for (const flow of flows) {
      await until(async () => (await api<Flow>(`flows/${flow}`)).status === "Suspend"); // it ran and failed again
    }
  });
});
