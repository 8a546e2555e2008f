// A page whose costs are measured: what it takes until something is seen, by the clock and in computing of its main thread.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import { URL as ENGINE, until } from "./browser.ts";

const PATIENCE_MS = 120_000;
const KINDS: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  css: "text/css",
  svg: "image/svg+xml",
};

export interface Figure {
  /** From when its data were there, or somebody asked for it, to the frame behind the one that shows it. */
  ms: number;
  /** What the page's main thread computed meanwhile. */
  cpuMs: number;
}

interface Entry {
  name: string;
  at: number;
  took: number;
}

/** How one knows that it is seen: there is such an element, or the page said that it painted. */
export type Seen = { element: string } | { measure: string };

const watching = `
  globalThis.entries = [];
  new PerformanceObserver((list) => {
    for (const { name, startTime, duration } of list.getEntries()) {
      if (name.startsWith("flow-")) globalThis.entries.push({ name, at: startTime, took: duration });
    }
  }).observe({ entryTypes: ["measure"] });
`;

/** Where pages are opened that have the dashboard of a folder; null: the one that the engine serves. */
export async function contextWith(browser: Browser, folder: string | null): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-US" });
  if (folder === null) return context;
  await context.route(
    (url) => url.href.startsWith(ENGINE) && (url.pathname === "/" || url.pathname.startsWith("/ui/")),
    async (route) => {
      const { pathname } = new globalThis.URL(route.request().url());
      const file = join(folder, pathname === "/" ? "index.html" : pathname.slice("/ui/".length));
      if (!existsSync(file)) throw new Error(`${folder} has no ${pathname}`);
      await route.fulfill({
        body: readFileSync(file),
        contentType: KINDS[file.split(".").at(-1) ?? ""] ?? "",
      });
    },
  );
  return context;
}

export class WatchedPage {
  readonly page: Page;
  private readonly session: CDPSession;

  private constructor(page: Page, session: CDPSession) {
    this.page = page;
    this.session = session;
  }

  static async opened(context: BrowserContext, hash: string): Promise<WatchedPage> {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.addInitScript(watching);
    const session = await context.newCDPSession(page);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    await page.goto(`${ENGINE}/${hash}`);
    return new WatchedPage(page, session);
  }

  async close(): Promise<void> {
    await this.page.close();
  }

  /** From the coming of its first data on until it is painted. */
  async first(measure: string): Promise<Figure> {
    await until(async () => (await this.entries()).some((one) => one.name === measure));
    const all = await this.entries();
    const data = all.find((one) => one.name === "flow-frame");
    const paint = all.find((one) => one.name === measure);
    const layoutAt = await this.page.evaluate(() => {
      const all = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
      return all.find(({ name }) => name.endsWith("/layout"))?.responseEnd ?? 0;
    });
    const ms = (paint?.at ?? 0) + (paint?.took ?? 0) - Math.max(data?.at ?? 0, layoutAt);
    return { ms, cpuMs: 1_000 * (await this.metric("TaskDuration")) };
  }

  /** What it costs to do something until that is seen: a change of the address, a key, or the press of a button. */
  async until(seen: Seen, act: { hash?: string; key?: string; button?: string }): Promise<Figure> {
    await this.rest();
    const before = await this.metric("TaskDuration");
    const ms = await this.page.evaluate(
      async ({ seen, act, patienceMs }) => {
        const { entries } = globalThis as unknown as { entries: Entry[] };
        const begun = performance.now();
        if (act.hash !== undefined) location.hash = act.hash;
        else if (act.key !== undefined) {
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key: act.key, bubbles: true }));
        } else {
          const all = [...document.querySelectorAll<HTMLButtonElement>("main button")];
          all.find((one) => (one.ariaLabel ?? one.textContent) === act.button)?.click();
        }
        const frame = () => new Promise(requestAnimationFrame);
        const isSeen = () =>
          "element" in seen
            ? document.querySelector(seen.element) !== null
            : entries.some((one) => one.name === seen.measure && one.at >= begun);
        while (!isSeen()) {
          if (performance.now() - begun > patienceMs) throw new Error(`nothing of ${JSON.stringify(seen)}`);
          await frame();
        }
        await frame();
        const asked = performance
          .getEntriesByType("resource")
          .filter(({ name }) => /[/](timeline|events|layout|changes)([?]|$)/.test(name))
          .map((one) => (one as PerformanceResourceTiming).responseEnd);
        return performance.now() - Math.max(begun, ...asked);
      },
      { seen, act, patienceMs: PATIENCE_MS },
    );
    return { ms, cpuMs: 1_000 * ((await this.metric("TaskDuration")) - before) };
  }

  async entries(): Promise<Entry[]> {
    return await this.page.evaluate(() => (globalThis as unknown as { entries: Entry[] }).entries);
  }

  /** How often data came. */
  async frames(): Promise<number> {
    return (await this.entries()).filter((one) => one.name === "flow-frame").length;
  }

  async metric(name: string): Promise<number> {
    const { metrics } = await this.session.send("Performance.getMetrics");
    return metrics.find((one) => one.name === name)?.value ?? 0;
  }

  /** What is in use behind a collection, in MB. */
  async heap(): Promise<number> {
    await this.session.send("HeapProfiler.collectGarbage");
    return (await this.metric("JSHeapUsedSize")) / 1e6;
  }

  /** Until nothing is computed any more. */
  private async rest(): Promise<void> {
    let before = -1;
    await until(async () => {
      const now = await this.metric("TaskDuration");
      const isIdle = now - before < 0.002;
      before = now;
      return isIdle;
    });
  }
}
