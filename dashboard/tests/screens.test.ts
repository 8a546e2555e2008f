// Each screen before a real engine: the whole way of an incident, keys, cuts, names that are no friends.
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { before, test } from "node:test";
import { api, control, FLOWS, openPage, statusOf, until } from "./browser.ts";
import { post, put, registered, showing, useBrowser } from "./pages.ts";

const browser = useBrowser();

before(async () => {
  await until(async () => (await statusOf(FLOWS.failed ?? "")) === "Suspend");
  await until(async () => (await statusOf(FLOWS.hostile ?? "")) === "Suspend");
  await until(async () => (await statusOf(FLOWS.large ?? "")) === "Finish");
});

const shown = showing(browser);

test("a failed flow opens at its failure, and a rerun is seen to its end", async () => {
  const flow = await registered("incident", [
    { taskSeq: 1, taskName: "read", program: "read_rows", dependsOn: [] },
    { taskSeq: 2, taskName: "load", program: "load", dependsOn: ["read"], parameters: { broken: true } },
    { taskSeq: 3, taskName: "report", program: "nothing", dependsOn: ["load"] },
  ]);
  await shown("#/flows", async (page) => {
    await page.locator(`#flow-${flow} .mark.suspended`).waitFor();
    await page.locator(`#flow-${flow} .name a`).click();
    await page.getByText("relation 'sales' has no column 'day'", { exact: true }).waitFor();
    assert.match((await page.locator(".error pre").textContent()) ?? "", /raise Fatal/);
    await page.getByRole("tab", { name: "Log" }).click();
    await page.locator(".line.bad", { hasText: "has no column day" }).waitFor();
    await api(`flows/${flow}/ignore`, post({ tasks: [2] })); // somebody else, at the same time
    await page.locator(".badge.finished").waitFor();
    await page.getByRole("button", { name: "Rerun task" }).click();
    await page.getByText(/2 tasks will run again: load, report/).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Rerun task" }).click();
    await page.locator(".badge.suspended").waitFor();
    await page.keyboard.press("r");
    await page.getByText("2 tasks will run again: load, report").waitFor();
    await page.getByLabel("Value of broken").fill("not JSON");
    await page.getByText("This is no JSON").waitFor();
    assert.ok(await page.getByRole("dialog").getByRole("button", { name: "Rerun task" }).isDisabled());
    await page.getByLabel("Value of broken").fill("false");
    await page.getByText("2 tasks will run again: load, report").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Rerun task" }).click();
    await page.locator(".badge.finished").waitFor();
    await page.keyboard.press("d");
    await page.locator(".given", { hasText: "broken" }).getByText("given to this flow").waitFor();
  });
});

test("everything on the way to a failure can be done by keys", async () => {
  await shown("#/flows", async (page) => {
    await page.locator("table.flows tbody tr").first().waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.locator(".chip[aria-current]", { hasText: "Failed" }).waitFor();
    await page.locator("tbody .mark.suspended").first().waitFor();
    await page.keyboard.press("j");
    await page.locator("tr.chosen").waitFor();
    await page.keyboard.press("Enter");
    await page.locator(".error .message").waitFor();
    await page.keyboard.press("v");
    await page.locator(".task-list .chosen").waitFor();
    await page.keyboard.press("k");
    await page.keyboard.press("l");
    await page.locator(".lines").waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("next failed task").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.locator(".pane").waitFor({ state: "detached" });
  });
});

test("failures are grouped, and each group leads to its last task", async () => {
  await shown("#/errors", async (page) => {
    const line = page.locator("tbody tr", { hasText: "relation '...' has no column" });
    await line.waitFor();
    await page.keyboard.press("j");
    while ((await line.getAttribute("class")) !== "chosen") await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.locator(".error .message", { hasText: "has no column" }).waitFor();
  });
});

test("what is shown is in the address", async () => {
  await shown(`#/flows/${FLOWS.failed}?view=list&task=9`, async (page) => {
    await page.locator(".pane h2", { hasText: "exchange_rates" }).waitFor();
    await page.locator(".attempts tr").nth(1).waitFor();
    await page.locator(".task-list button").nth(4).click();
    await page.reload();
    await page.locator(".pane h2", { hasText: "clean_north" }).waitFor();
    await page.goto(page.url().replace(/#.*/, "#/nowhere"));
    await page.getByText("There is no such page").waitFor();
    await page.goto(page.url().replace(/#.*/, "#/flows/018f3c5e-7a10-7000-8000-000000000000"));
    await page.getByText("This flow cannot be shown").waitFor();
    await page.close();
  }).catch((error: unknown) => {
    if (!/404|closed/.test(String(error))) throw error;
  });
});

test("an API that goes and comes again is said, and nothing is lost or doubled", async () => {
  const flow = FLOWS.running ?? "";
  await shown(`#/flows/${flow}?view=list&task=2`, async (page) => {
    await page.locator(".progress").waitFor();
    await page.locator(".standing.live").waitFor();
    await control("stop-api");
    await page.locator(".standing.away").waitFor();
    await control("tell");
    await control("start-api");
    await page.locator(".badge.finished").waitFor();
    await page.locator(".standing.live").waitFor();
    await page.locator(".pane", { hasText: "told" }).waitFor();
    assert.equal(await page.locator(".task-list li").count(), 4);
    assert.equal(await page.locator(".task-list .mark.finished").count(), 4);
  });
});

test("what names and values hold is shown as text", async () => {
  for (const path of [
    "#/flows?status=suspend",
    `#/flows/${FLOWS.hostile}?task=1`,
    `#/flows/${FLOWS.hostile}?view=list`,
  ]) {
    await shown(path, async (page) => {
      await page.getByText("<script>alert(1)</script> & 'x'").first().waitFor();
      assert.equal(await page.locator("img[src='x']").count(), 0);
      assert.equal(await page.evaluate(() => document.scripts.length), 1);
    });
  }
});

test("a task that nobody can run says why, and of what it waits for", async () => {
  await shown(`#/flows/${FLOWS.waiting}?task=2`, async (page) => {
    await page.getByText("No live worker serves the queue gpu.").waitFor();
    await page.goto(page.url().replace("task=2", "task=3"));
    await page.locator(".why .link", { hasText: "train" }).click();
    await page.locator(".pane h2", { hasText: "train" }).waitFor();
  });
});

test("how tasks ended otherwise than by finishing is said, with what decided it", async () => {
  await until(async () => (await statusOf(FLOWS.given_up ?? "")) === "Suspend");
  await shown(`#/flows/${FLOWS.given_up}?task=2`, async (page) => {
    await page.locator(".badge.givenup", { hasText: "ended, failed" }).waitFor();
    await page.getByText("It failed and was given up: its flow went on without it.").waitFor();
    await page.goto(page.url().replace("task=2", "task=3"));
    await page.getByText("Not taken, by its rule ready: one before it was given up:").waitFor();
    await page.locator(".why .link", { hasText: "load" }).click();
    await page.locator(".pane h2", { hasText: "load" }).waitFor();
  });
  await shown(`#/flows/${FLOWS.approval}?task=2`, async (page) => {
    await page.getByText("It waits for somebody's approval: refund order 17?").waitFor();
  });
});

test("a flow can be seen as it stood at any event, in every view", async () => {
  await shown(`#/flows/${FLOWS.failed}?view=history&task=11`, async (page) => {
    await page.locator(".history li", { hasText: "registered" }).waitFor();
    await page.locator(".history li", { hasText: /join.*started/ }).click();
    await page.locator(".time-bar.past").waitFor();
    await page.locator(".badge.running").waitFor();
    await page.locator(".pane h2", { hasText: "join" }).waitFor();
    assert.equal(await page.locator(".operations").count(), 0);
    await page.keyboard.press(".");
    await page.locator(".time-bar .what", { hasText: "join: finished" }).waitFor();
    await page.getByRole("link", { name: "List" }).click();
    await until(async () => (await page.locator(".task-list .mark.finished").count()) === 10);
    assert.equal(await page.locator(".task-list .mark.ready").count(), 1);
    await page.getByRole("link", { name: "Gantt" }).click();
    await page.locator(".gantt canvas").waitFor();
    await page.locator(".load .uplot").waitFor();
    await page.getByRole("button", { name: "Compare with now" }).click();
    await page.locator(".compare li", { hasText: /load_sales.*ready.*failed/ }).waitFor();
    await page.getByRole("button", { name: "Back to now" }).click();
    await page.locator(".badge.suspended").waitFor();
  });
});

test("a flow is compared with another one of its workflow", async () => {
  await shown(`#/flows/${FLOWS.failed}?view=compare&with=${FLOWS.finished}&task=0`, async (page) => {
    await page.locator(".compare li", { hasText: /load_sales.*failed.*finished/ }).waitFor();
    await page.getByText("5 of 15 tasks differ").waitFor();
    await page.getByRole("button", { name: "show these only" }).click();
    await until(async () => (await page.locator(".compare li").count()) === 5);
  });
});

test("each value of a task says where it comes from", async () => {
  await shown(`#/flows/${FLOWS.failed}?task=11`, async (page) => {
    const given = (name: string) => page.locator(".given", { has: page.locator(".key", { hasText: name }) });
    await given("table").getByText("definition").waitFor();
    await given("day").getByText("flow's parameter day").waitFor();
    await given("first").locator(".origin button", { hasText: "join" }).click();
    await page.locator(".pane h2", { hasText: "join" }).waitFor();
  });
});

test("a task is ignored with a result in its place, and that is undone", async () => {
  const flow = await registered("stand-in", [
    { taskSeq: 1, taskName: "load", program: "load", dependsOn: [], parameters: { broken: true } },
    {
      taskSeq: 2,
      taskName: "train",
      program: "nothing",
      queue: "gpu",
      dependsOn: [],
      parameters: { n: { $from: "load", path: "/rows" } },
    },
  ]);
  await shown(`#/flows/${flow}`, async (page) => {
    await page.locator(".error .message").waitFor();
    await page.getByRole("button", { name: "Ignore task" }).click();
    await page
      .getByRole("dialog")
      .getByText(/needs|cannot do without/)
      .first()
      .waitFor();
    await page.getByLabel("Result in its place (JSON)").fill('{"rows": 7}');
    await page.getByText("1 task will be passed over: load").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Ignore task" }).click();
    await page.getByRole("heading", { name: "Result in its place" }).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator(".error .message").waitFor();
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("button", { name: "Priority" }).click();
    await page.getByLabel(/Priority, /).fill("-5");
    await page.getByRole("dialog").getByRole("button", { name: "Priority" }).click();
    await until(async () => {
      const { tasks } = await api<{ tasks: { taskPriority: number }[] }>(`flows/${flow}`);
      return tasks.every(({ taskPriority }) => taskPriority === -5);
    });
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("button", { name: "Fork from task" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Fork from task" }).click();
    await page.waitForURL((address) => !address.hash.includes(flow) && address.hash.includes("/flows/"));
    await page.locator(".error .message").waitFor();
  });
});

test("whoever pauses, resumes, forks, moves or takes back sees before what comes of it, and what will hold it", async () => {
  const flow = await registered("foretold", [
    { taskSeq: 1, taskName: "first", program: "nothing", queue: "nowhere", dependsOn: [] },
    { taskSeq: 2, taskName: "second", program: "nothing", queue: "nowhere", dependsOn: [] },
  ]);
  await api(`flows/${flow}/ignore`, post({ tasks: [2] }));
  await shown(`#/flows/${flow}?task=2`, async (page) => {
    const dialog = page.getByRole("dialog");
    const told = (words: string) => dialog.locator(".effect li", { hasText: words }).waitFor();
    const ask = async (name: string) => {
      const button = page.locator(".operations").getByRole("button", { name, exact: true });
      if ((await button.count()) === 0) await page.getByRole("button", { name: "More" }).click();
      await button.click();
    };
    await page.locator(".pane-head", { hasText: "passed over" }).waitFor();
    await ask("Unignore task");
    await told("1 task that had been passed over will wait again: second");
    await told("1 task may start at once: second");
    await dialog.getByRole("button", { name: "Unignore task" }).click();
    await dialog.waitFor({ state: "detached" });
    await ask("Pause");
    await told("2 tasks might start, and must wait then: first, second");
    await dialog.getByRole("button", { name: "Pause" }).click();
    await page.locator(".badge.paused").waitFor();
    await api("limits/workflow/foretold", put({ maxFlows: 1, isPaused: true, reason: "new disks" }));
    await ask("Resume");
    await told(
      "2 tasks would start, but must wait: first, second. Paused: workflow foretold, by api: new disks.",
    );
    await dialog.getByRole("button", { name: "Leave it" }).click();
    await ask("Priority");
    await dialog.getByLabel(/Priority, /).fill("7");
    await told("2 tasks will have another priority: first, second");
    await dialog.getByRole("button", { name: "Leave it" }).click();
    await ask("Fork from task");
    await told("2 tasks will run again: first, second");
    await told("1 of 1 flows of its workflow are under way");
    await dialog.getByRole("button", { name: "Leave it" }).click();
    const nowhere = { program: "nothing", queue: "nowhere", dependsOn: [] };
    const tasks = ["zeroth", "first", "second"].map((taskName, index) => ({
      taskSeq: index + 1,
      taskName,
      ...nowhere,
    }));
    await api("workflows/foretold", put({ tasks }));
    await ask("Fork from task");
    await dialog.getByLabel("Version of the workflow").selectOption("2");
    await told("3 tasks will run again: zeroth, first, second");
    await dialog.getByRole("button", { name: "Leave it" }).click();
  });
  await api("limits/workflow/foretold", { method: "DELETE" });
  await api(`flows/${flow}/cancel`, { method: "POST" });
});

test("where the API cannot say what a pause would do, it is said, and the flow is paused all the same", async () => {
  const flow = await registered("unforetold", [
    { taskSeq: 1, program: "nothing", queue: "nowhere", dependsOn: [] },
  ]);
  await shown(`#/flows/${flow}`, async (page) => {
    await page.route(`**/flows/${flow}/*`, async (route) => {
      const isDryRun = route.request().postDataJSON()?.dryRun === true;
      await (isDryRun ? route.fulfill({ status: 422, body: "" }) : route.continue());
    });
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Cancel" }).click();
    await dialog.getByText("The API answers 422.").waitFor();
    assert.ok(await dialog.getByRole("button", { name: "Cancel" }).isDisabled(), "it names a version");
    await dialog.getByRole("button", { name: "Leave it" }).click();
    await page.getByRole("button", { name: "Pause" }).click();
    await dialog.getByText("The API answers 422.").waitFor();
    await dialog.getByRole("button", { name: "Pause" }).click();
    await page.locator(".badge.paused").waitFor();
  });
  await api(`flows/${flow}/cancel`, { method: "POST" });
});

test("two pages show the same flow, and both go on", async () => {
  const flow = await registered("two-tabs", [
    { taskSeq: 1, program: "nothing", queue: "gpu", dependsOn: [] },
  ]);
  await shown(`#/flows/${flow}`, async (one) => {
    await shown(`#/flows/${flow}?view=list`, async (other) => {
      await other.locator(".badge").waitFor();
      await one.getByRole("button", { name: "Pause" }).click();
      await one.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
      await other.locator(".badge.paused").waitFor();
      await one.locator(".badge.paused").waitFor();
      await one.getByRole("button", { name: "Undo" }).click();
      await other.locator(".badge.waiting").waitFor();
      await other.getByRole("button", { name: "Cancel" }).click();
      await other.getByText("1 task will be cut off").waitFor();
      await other.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
      await one.locator(".badge.cancelled").waitFor();
    });
  });
});

test("of a large flow only what is seen is in the page", async () => {
  await shown(`#/flows/${FLOWS.large}?view=list&task=1900`, async (page) => {
    await page.locator(".task-list .chosen", { hasText: "t1900" }).waitFor();
    assert.ok((await page.locator("*").count()) < 900);
  });
});

test("all screens together are small", () => {
  const bundle = "../services/flower_api/dashboard_bundle";
  const files = readdirSync(bundle).filter((name) => /[.](js|css)[.]gz$/.test(name));
  const bytes = files.reduce((sum, name) => sum + statSync(`${bundle}/${name}`).size, 0);
  assert.ok(bytes < 160_000, `${bytes} bytes`);
});

test("the first load is small, and a click asks little", async () => {
  let bytes = 0;
  const opened = await openPage(browser(), "#/nowhere");
  const asked: string[] = [];
  opened.page.on("response", async (reply) => {
    asked.push(reply.url());
    bytes += Number(reply.headers()["content-length"] ?? 0);
  });
  await opened.page.reload();
  await opened.page.getByText("There is no such page").waitFor();
  assert.ok(bytes < 80_000, `${bytes} bytes`);
  await opened.page.goto(opened.page.url().replace(/#.*/, `#/flows/${FLOWS.failed}`));
  await opened.page.locator(".error .message").waitFor();
  asked.length = 0;
  await opened.page.keyboard.press("k");
  await opened.page.locator(".pane h2", { hasText: "join" }).waitFor();
  await opened.page.locator(".attempts").waitFor();
  assert.ok(asked.length <= 2, asked.join(" "));
  await opened.page.close();
});
