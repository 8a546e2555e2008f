// Maps that go along each other: one chain in the graph, the Gantt chart, the list and among items.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { api, FLOWS, statusOf, until } from "./browser.ts";
import { showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());
const flow = FLOWS.chained ?? "";
const CROP = 2;
const STAMP = 3;
let items = new Map<string, number>(); // by map and key

before(async () => {
  await until(async () => (await statusOf(flow)) === "Suspend");
  const { tasks } = await api<{ tasks: { taskExecSeq: number; itemOf: number | null; itemKey: string }[] }>(
    `flows/${flow}`,
  );
  items = new Map(tasks.map((task) => [`${task.itemOf} ${task.itemKey}`, task.taskExecSeq]));
});

const of = (map: number, image: number) => items.get(`${map} image-${image}.jpg`) ?? 0;

test("each element of a chain has one line with what every map made of it, those that failed first", async () => {
  await shown(`#/flows/${flow}?task=${STAMP}&tab=items`, async (page) => {
    const lines = page.locator(".item-list .chain-line");
    await until(async () => (await lines.count()) === 12);
    const head = page.locator(".chain-head li");
    assert.deepEqual(await head.locator("button").allInnerTexts(), ["crop", "stamp", "sign"]);
    const counts = (await head.locator(".counts").allInnerTexts()).map((text) => text.match(/\d+/g));
    assert.deepEqual(counts, [
      ["1", "11"],
      ["1", "1", "10"],
      ["2", "10"],
    ]);
    const first = await lines.locator(".key").allInnerTexts();
    assert.deepEqual(first.slice(0, 3), ["image-3.jpg", "image-8.jpg", "image-0.jpg"]);
    await lines.nth(0).getByRole("button", { name: "crop[image-3.jpg]: failed" }).waitFor();
    await lines.nth(0).getByRole("button", { name: "stamp[image-3.jpg]: waits for others" }).waitFor();
    await lines.nth(1).getByRole("button", { name: "crop[image-8.jpg]: finished" }).waitFor();
    await lines.nth(1).getByRole("button", { name: "stamp[image-8.jpg]: failed" }).click();
    await page.locator(".pane .error .message", { hasText: "has no place for a stamp" }).waitFor();
    const chain = page.getByRole("navigation", { name: "Chain" });
    assert.deepEqual(
      (await chain.getByRole("button").allInnerTexts()).map((text) => text.trim()),
      ["crop", "stamp", "sign"],
    );
    await chain.getByRole("button", { name: "sign[image-8.jpg]" }).click();
    await page.locator(".pane-head", { hasText: "sign › item 8" }).waitFor();
    await page.locator(".why", { hasText: "stamp" }).waitFor();
    await chain.getByRole("button", { name: "crop[image-8.jpg]" }).click();
    await page.locator(".pane-head", { hasText: "crop › item 8" }).waitFor();
  });
});

test("the list has items of a chain behind those that they go along, and keys follow it", async () => {
  await shown(`#/flows/${flow}?view=list&task=${of(CROP, 0)}`, async (page) => {
    const chosen = page.locator(".task-list .chosen .name");
    for (const name of [
      "crop[image-0.jpg]",
      "stamp[image-0.jpg]",
      "sign[image-0.jpg]",
      "crop[image-1.jpg]",
    ]) {
      await page.locator(".task-list .chosen", { hasText: name }).waitFor();
      const isBehind = await chosen.evaluate((one) => one.classList.contains("behind"));
      assert.equal(isBehind, !name.startsWith("crop"));
      await page.keyboard.press("j");
    }
    await page.keyboard.press("k");
    await page.keyboard.press("k");
    await page.locator(".task-list .chosen", { hasText: "sign[image-0.jpg]" }).waitFor();
  });
});

test("the Gantt chart has a row for each element, in which a click chooses the item that went on then", async () => {
  await shown(`#/flows/${flow}?view=gantt&task=${of(STAMP, 8)}`, async (page) => {
    await page.locator(".load .uplot").waitFor();
    const canvas = page.locator(".gantt canvas");
    const size = await canvas.boundingBox();
    assert.ok(size !== null);
    const ROW = 22;
    const AXIS = 26;
    const row = 5 + 8; // five tasks, then a row for each image
    const y = AXIS + (row + 0.5) * ROW;
    await canvas.click({ position: { x: size.width - 12, y } }); // behind all that went on
    await page.locator(".pane-head", { hasText: "stamp › item 8" }).waitFor();
    await canvas.click({ position: { x: 20, y: y - 5 * ROW } }); // before anything did: its first item
    await page.locator(".pane-head", { hasText: "crop › item 3" }).waitFor();
    await canvas.click({ position: { x: size.width - 12, y: y - ROW } });
    await page.locator(".pane-head", { hasText: "sign › item 7" }).waitFor();
    await canvas.hover({ position: { x: size.width - 12, y } });
    await page.locator(".tip", { hasText: "stamp[image-8.jpg]: failed" }).waitFor();
    await page.keyboard.press("j");
    await page.locator(".pane-head", { hasText: "crop › item 8" }).waitFor();
  });
});

test("the graph has the maps of a chain on one ground, with an edge for each of their items", async () => {
  await shown(`#/flows/${flow}?task=0`, async (page) => {
    const canvas = page.locator(".dag canvas");
    await canvas.waitFor();
    // Between the boxes of the first two maps: the ground, and beside the middle edge two more.
    const found = async () =>
      await canvas.evaluate((element) => {
        const one = element as HTMLCanvasElement;
        const context = one.getContext("2d");
        if (context === null) return [];
        const { data, width, height } = context.getImageData(0, 0, one.width, one.height);
        const rgb = (name: string) => {
          const hex = getComputedStyle(one).getPropertyValue(name).trim().replace("#", "");
          return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join();
        };
        const at = (x: number, y: number) => data.slice(4 * (y * width + x), 4 * (y * width + x) + 3).join();
        const ground = rgb("--chosen");
        // Of each column how often what is seen changes from ground to something else and back.
        let most = 0;
        let columns = 0;
        for (let x = 0; x < width; x += 1) {
          let changes = 0;
          let was = false;
          for (let y = 0; y < height; y += 1) {
            const is = at(x, y) === ground;
            if (is && !was) changes += 1;
            was = is;
          }
          if (changes > 0) columns += 1;
          if (changes > most) most = changes;
        }
        return [columns > 300, most];
      });
    await until(async () => (await found())[0] === true);
    assert.deepEqual(await found(), [true, 4]); // three edges, and ground around each
  });
});
