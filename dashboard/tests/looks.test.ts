// How every screen looks: nothing that axe finds, nothing that overflows, no labels that overlap; each theme and width.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { api, FLOWS, statusOf, until } from "./browser.ts";
import { put, registered, showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

let waiting = "";

before(async () => {
  waiting = await registered("patient", [{ taskSeq: 1, program: "nothing", queue: "nowhere" }]);
  await until(async () => (await statusOf(FLOWS.failed ?? "")) === "Suspend");
  await until(async () => (await statusOf(FLOWS.hostile ?? "")) === "Suspend");
  await api(
    "hooks/ops",
    put({ occasions: ["flow.failed"], kind: "webhook", target: "https://example.com/flower" }),
  );
  await api("hooks/ops/test", { method: "POST" });
  await api("limits/workflow/large", put({ maxRunning: 40, rate: 500, reason: "as the warehouse can bear" }));
});

after(async () => {
  await api("limits/workflow/large", { method: "DELETE" });
  await api("hooks/ops", { method: "DELETE" });
});

/** Where to look, what is there once the screen is, and what is pressed before. */
const PLACES: [string, string, ...string[]][] = [
  ["#/flows", "tbody tr"],
  ["#/flows", "tbody tr", "td.pick input", ".bulk-bar button.link"],
  ["#/flows", "tbody tr", "td.pick input", ".bulk-bar button:text-is('Pause')", "dialog:has(.effect li) h2"],
  ["#/flows/WAITING", ".badge.waiting"],
  ["#/errors", "tbody tr"],
  [`#/flows/${FLOWS.failed}`, ".error .message"],
  [`#/flows/${FLOWS.failed}?view=list&task=11&tab=log`, ".line.bad"],
  [`#/flows/${FLOWS.hostile}?task=1&view=list`, ".json .text"],
  [`#/flows/${FLOWS.failed}?view=gantt&task=0`, ".load .uplot"],
  [`#/flows/${FLOWS.hostile}?view=history&task=0`, ".history li"],
  [`#/flows/${FLOWS.failed}?view=compare&with=${FLOWS.finished}&task=0`, ".compare li"],
  ["#/workflows", "tbody tr"],
  ["#/workflows/nightly-sales?task=11", ".pane .json"],
  ["#/workflows/nightly-sales?view=tasks", ".task-list li"],
  ["#/workflows/import-prices?view=versions", ".diff li"],
  ["#/workflows/export?view=register", ".schema-form .field"],
  ["#/schedules", "tbody tr"],
  ["#/schedules/ticks", "tbody .mark.finished"],
  ["#/schedules/month-end?view=edit", ".preview tbody tr"],
  [`#/approvals?line=${FLOWS.approval}/2`, ".pane .choices"],
  ["#/approvals?view=signals", ".beside form"],
  ["#/workers", "table tbody tr"],
  ["#/limits", "tbody tr"],
  ["#/audit", "tbody tr"],
  [`#/flows/${FLOWS.mapped}?task=2`, ".item-list li"],
  [`#/flows/${FLOWS.chained}?task=3`, ".chain-line"],
  [`#/flows/${FLOWS.chained}?view=list&task=9`, ".chain-of-item"],
  [`#/flows/${FLOWS.tree}?view=tree&task=1`, ".tree-line + ul .tree-line"],
  [`#/flows/${FLOWS.tree}?view=about`, ".flow-facts dd"],
  ["#/hooks", "tbody tr"],
  ["#/hooks/ops", "tbody tr"],
];

/** `rules`: all of axe, those of a theme, or none: they take most of the time. */
const LOOKS = [
  { width: 1440, dark: false, rules: "all" },
  { width: 1440, dark: true, rules: "contrast" },
  { width: 768, dark: false, rules: "none" },
  { width: 360, dark: true, rules: "all" },
] as const;

for (const { width, dark, rules } of LOOKS) {
  test(`axe finds nothing, nothing overflows, overlaps, is cut off or crowded: ${width} px, ${dark ? "dark" : "light"}`, async () => {
    for (const [place, first, ...pressed] of PLACES) {
      const path = place.replace("WAITING", waiting);
      await shown(
        path,
        async (page) => {
          await page.locator(first).first().waitFor();
          for (const one of pressed) await page.locator(one).first().click();
          if (rules !== "none") assert.deepEqual(await violations(page, rules), [], path);
          assert.deepEqual(await overflowing(page), [], path);
          assert.deepEqual(await overlapping(page), [], path);
          assert.deepEqual(await crowded(page), [], path);
          assert.deepEqual(await cutOff(page), [], path);
        },
        { width, height: 800, dark },
      );
    }
  });
}

async function violations(page: Page, rules: "all" | "contrast"): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async (only) => {
    const { axe: here } = window as unknown as { axe: typeof axe };
    const { violations: found } = await here.run(only === "all" ? {} : { runOnly: ["color-contrast"] });
    return found.map(({ id, nodes }) => `${id}: ${nodes.map((one) => one.html).join(" | ")}`);
  }, rules);
}

/** Elements whose content is cut off where nobody can scroll to it, or that lie beyond the page. */
async function overflowing(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const found: string[] = [];
    for (const one of document.querySelectorAll<HTMLElement>("main *, header *")) {
      const box = one.getBoundingClientRect();
      if (box.width === 0 || one.closest(".hidden, svg, .lines, pre, .scroll, .dag, .chips") !== null)
        continue;
      if (box.right > innerWidth + 1) found.push(`${one.tagName}.${one.className} ends at ${box.right}`);
    }
    return found;
  });
}

/** Texts that have so little space that they are read word by word, from above. */
async function crowded(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const [mostLines, leastWidth] = [4, 130];
    const found: string[] = [];
    for (const one of document.querySelectorAll<HTMLElement>("main td, main th, main li, main p, .bar > *")) {
      const width = one.clientWidth;
      const isText = [...one.childNodes].some((node) => node.textContent?.trim());
      if (!isText || width === 0 || width > leastWidth || one.closest(".hidden, svg") !== null) continue;
      const lines = new Set<number>();
      const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
      for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
        const range = document.createRange();
        range.selectNodeContents(text);
        for (const { bottom } of range.getClientRects()) lines.add(Math.round(bottom / 8));
      }
      if (lines.size > mostLines)
        found.push(`${one.textContent?.slice(0, 60)}: ${lines.size} lines of ${width}`);
    }
    return found;
  });
}

/** Texts that end where a box does, without dots that say so. */
async function cutOff(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const found: string[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const parent = node.parentElement;
      if (parent === null || !node.textContent?.trim() || !parent.checkVisibility()) continue;
      if (parent.closest(".hidden, .skip, svg, noscript, option, .dag, .u-axis, .load") !== null) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const right = Math.max(...[...range.getClientRects()].map((line) => line.right));
      let isInline = true; // what is inline in a box gets its dots
      for (let around: Element | null = parent; around !== null; around = around.parentElement) {
        const { overflowX, textOverflow, display } = getComputedStyle(around);
        if (display !== "inline" && around !== parent && overflowX === "visible") isInline = false;
        if (overflowX === "auto" || overflowX === "scroll") break;
        if (overflowX === "visible") continue;
        const hasDots = textOverflow === "ellipsis" && isInline;
        if (!hasDots && right > around.getBoundingClientRect().right + 1) {
          found.push(`${node.textContent.trim().slice(0, 60)} in ${around.tagName}.${around.className}`);
        }
        break;
      }
    }
    return found;
  });
}

/** Pairs of labels (text of the lowest elements) that lie over each other inside of the same part of the page. */
async function overlapping(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const labels: { node: Node; text: string; box: DOMRect; layer: Element | null }[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const parent = node.parentElement;
      const text = node.textContent?.trim() ?? "";
      if (
        parent === null ||
        !parent.checkVisibility() ||
        text === "" ||
        parent.closest(".hidden, .skip, svg, noscript, option") !== null
      )
        continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const layer = parent.closest(
        "thead, dialog, .menu-list, .places-list, .zoom, .tip, figcaption, .u-axis",
      );
      for (const line of range.getClientRects()) {
        let box = line;
        // What is cut off by a place that scrolls or hides is not seen there.
        for (let around: Element | null = parent; around !== null; around = around.parentElement) {
          if (getComputedStyle(around).overflow === "visible") continue;
          const seen = around.getBoundingClientRect();
          const left = Math.max(box.left, seen.left);
          const top = Math.max(box.top, seen.top);
          const right = Math.max(left, Math.min(box.right, seen.right));
          const bottom = Math.max(top, Math.min(box.bottom, seen.bottom));
          box = new DOMRect(left, top, right - left, bottom - top);
        }
        if (box.width > 1 && box.height > 1) labels.push({ node, text: text.slice(0, 40), box, layer });
      }
    }
    const found: string[] = [];
    labels.sort((a, b) => a.box.top - b.box.top);
    for (let one = 0; one < labels.length; one += 1) {
      for (let other = one + 1; other < labels.length; other += 1) {
        const a = labels[one];
        const b = labels[other];
        if (a === undefined || b === undefined || b.box.top > a.box.bottom - 3) break;
        if (a.layer !== b.layer || a.node === b.node) continue; // heads stay above what scrolls
        const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        if (across > 2 && down > 3) found.push(`${a.text} / ${b.text}`);
      }
    }
    return found;
  });
}
