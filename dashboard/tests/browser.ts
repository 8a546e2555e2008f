// A Chromium, pages in it, and what the tests know of the engine.
import chromium from "@sparticuz/chromium";
import { type Browser, type Page, chromium as playwright } from "playwright-core";

export const URL = process.env.FLOWER_UI_URL ?? "";
export const FLOWS: Record<string, string> = JSON.parse(process.env.FLOWER_UI_FLOWS ?? "{}");
/** What a browser says of an API that is away, and of a refusal that the page shows. */
const EXPECTED = /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|status of (409|422)/;
export const PATIENCE_MS = Number(process.env.FLOWER_UI_PATIENCE_MS ?? 60_000);

export async function openBrowser(): Promise<Browser> {
  const path = await chromium.executablePath();
  const args = chromium.args.filter((one) => one !== "--single-process"); // with it, a page that ends ends all
  return await playwright.launch({ executablePath: path, args, headless: true });
}

export interface Opened {
  page: Page;
  /** What the page said that it should not have: errors, refused resources. */
  complaints: string[];
}

export async function openPage(
  browser: Browser,
  path: string,
  { width = 1440, height = 900, dark = false, url = URL } = {},
): Promise<Opened> {
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
    locale: "en-US", // whatever the machine says
  });
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !EXPECTED.test(message.text())) complaints.push(message.text());
  });
  await page.goto(`${url}/${path}`);
  return { page, complaints };
}

/** Asks something of the engine that only its owner can do. */
export async function control(what: "stop-api" | "start-api" | "guard-api" | "tell"): Promise<void> {
  await fetch(`${process.env.FLOWER_UI_CONTROL}/${what}`, { method: "POST" });
}

export async function api<T>(path: string, init: RequestInit = {}): Promise<T> {
  const reply = await fetch(`${URL}/${path}`, init);
  if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
  if (reply.status === 204) return undefined as T;
  return (await reply.json()) as T;
}

export async function until(condition: () => Promise<boolean>, patienceMs = PATIENCE_MS): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The status of a flow as the API shows it. */
export async function statusOf(flow: string): Promise<string> {
  return (await api<{ status: string }>(`flows/${flow}`)).status;
}
