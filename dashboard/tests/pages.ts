// What tests share: a browser for each file, a page for each test that says nothing it should not, flows to look at.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import type { Browser, Page } from "playwright-core";
import { api, openBrowser, openPage } from "./browser.ts";

/** A browser that is open while the tests of this file run. */
export function useBrowser(): () => Browser {
  let browser: Browser | null = null;
  before(async () => {
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
  });
  return () => {
    if (browser === null) throw new Error("it is open while tests run");
    return browser;
  };
}

type Shown = (
  path: string,
  run: (page: Page) => Promise<void>,
  options?: { width?: number; height?: number; dark?: boolean },
) => Promise<void>;

/** Opens pages in this browser, each for as long as a function runs. */
export function showing(browser: () => Browser): Shown {
  return async (path, run, options = {}) => {
    const opened = await openPage(browser(), path, options);
    try {
      await run(opened.page);
      assert.deepEqual(opened.complaints, []);
    } catch (error) {
      const folder = process.env.FLOWER_UI_FAILURES; // where pictures of failures go, if anywhere
      if (folder !== undefined) await opened.page.screenshot({ path: `${folder}/${Date.now()}.png` });
      throw error;
    } finally {
      await opened.page.close();
    }
  };
}

export function post(body: unknown): RequestInit {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

export function put(body: unknown): RequestInit {
  return { ...post(body), method: "PUT" };
}

/** Defines a workflow; a flow of it. */
export async function registered(workflow: string, tasks: unknown[]): Promise<string> {
  await api(`workflows/${workflow}`, put({ tasks }));
  return (await api<{ taskFlowId: string }>(`register/${workflow}`, { method: "POST" })).taskFlowId;
}
