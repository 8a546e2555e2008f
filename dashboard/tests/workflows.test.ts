// Workflows: what is defined, what became different, and the form that starts a flow.
import assert from "node:assert/strict";
import { test } from "node:test";
import { api } from "./browser.ts";
import { put, showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

test("a workflow is found by its name and opened by keys, with its graph and what is defined of a task", async () => {
  await shown("#/workflows", async (page) => {
    await page.locator("tbody tr", { hasText: "reports/monthly" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("NIGHTLY");
    await page.keyboard.press("Escape");
    await page.getByText("1 workflow", { exact: true }).waitFor();
    await page.getByLabel("Name").blur();
    await page.keyboard.press("j");
    await page.locator("tr.chosen").waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("img", { name: "Graph of 15 tasks" }).waitFor();
    await page.keyboard.press("v");
    await page.locator(".task-list li", { hasText: "load_sales" }).click();
    await page.locator(".pane h2", { hasText: "load_sales" }).waitFor();
    await page.locator(".pane .json", { hasText: "/rows/0" }).waitFor();
    await page.getByRole("link", { name: "Flows", exact: true }).last().click();
    await page.locator("tbody .mark.suspended").waitFor();
  });
});

test("two versions of a workflow are compared", async () => {
  const task = (program: string) => ({ taskSeq: 1, taskName: "load", program, dependsOn: [] });
  await api("workflows/team%2Fversions", put({ tasks: [task("load")] }));
  await api(
    "workflows/team%2Fversions",
    put({ tasks: [task("nothing"), { taskSeq: 2, taskName: "tell", program: "nothing" }] }),
  );
  await shown("#/workflows/team%2Fversions?view=versions", async (page) => {
    await page.locator(".diff .changed", { hasText: '"load" -> "nothing"' }).waitFor();
    await page.locator(".diff .added", { hasText: "task 2 tell" }).waitFor();
    await page.locator("tbody a", { hasText: "1" }).click();
    await page.getByRole("heading", { name: "Version 1" }).waitFor();
    await page.locator(".diff .removed", { hasText: "task 2 tell" }).waitFor();
    await page.getByRole("link", { name: "Graph" }).click();
    await page.getByText("version 1, not the newest").waitFor();
    await page.getByRole("img", { name: "Graph of 1 tasks" }).waitFor();
  });
});

test("a form made from the schema starts a flow, and says beside each field what is wrong", async () => {
  await shown("#/workflows/export", async (page) => {
    await page.getByRole("img", { name: /Graph of/ }).waitFor();
    await page.keyboard.press("r");
    await page.getByLabel("rows").fill("many");
    await page.getByText("This is no number.").waitFor();
    assert.ok(await page.getByRole("button", { name: "Register" }).isDisabled());
    await page.getByLabel("rows").fill("5000");
    await page.getByRole("button", { name: "Register" }).click();
    const beside = (name: string) => page.locator(".field", { has: page.getByLabel(name) }).locator(".wrong");
    await beside("rows").waitFor();
    await beside("customer").waitFor();
    await page.getByLabel("rows").fill("7");
    await page.getByLabel("customer").fill("Ada & <b>Co</b>");
    await page.getByLabel("format").selectOption("parquet");
    await page.getByLabel("password").fill("not a name");
    await page.getByRole("button", { name: "Register" }).click();
    await beside("password")
      .getByText(/name of a secret/)
      .waitFor();
    await page.getByLabel("password").fill("WAREHOUSE");
    await page.getByRole("button", { name: "Write it as JSON" }).click();
    const text = await page.getByLabel("Parameters, as JSON").inputValue();
    assert.deepEqual(JSON.parse(text), {
      rows: 7,
      customer: "Ada & <b>Co</b>",
      format: "parquet",
      password: "WAREHOUSE",
    });
    await page.getByRole("button", { name: "Write it in fields" }).click();
    await page.getByText("When, how urgent, and once only").click();
    await page.getByLabel(/^Key/).fill("export-once");
    await page.getByRole("button", { name: "Register" }).click();
    await page.waitForURL((address) => address.hash.startsWith("#/flows/"));
    const flow = new URL(page.url()).hash.slice("#/flows/".length).split("?")[0] ?? "";
    const { parameters, key } = await api<{ parameters: Record<string, unknown>; key: string }>(
      `flows/${flow}`,
    );
    assert.equal(key, "export-once");
    assert.equal(parameters.customer, "Ada & <b>Co</b>");
    assert.equal(parameters.isFull, true);
  });
});

test("a workflow without a schema offers what its tasks are given", async () => {
  await api(
    "workflows/plain",
    put({ tasks: [{ taskSeq: 1, program: "load", parameters: { table: "prices", broken: false } }] }),
  );
  await shown("#/workflows/plain?view=register", async (page) => {
    await page.getByLabel("table").fill("orders");
    await page.getByRole("button", { name: "Register" }).click();
    await page.waitForURL((address) => address.hash.startsWith("#/flows/"));
    await page.locator(".badge.finished").waitFor();
  });
});
