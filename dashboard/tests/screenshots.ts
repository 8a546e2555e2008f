// Pictures of each screen, both themes, three widths, into the folder that is named.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { FLOWS, openBrowser, openPage, statusOf, until } from "./browser.ts";

const folder = process.env.FLOWER_UI_PICTURES ?? "screenshots";
mkdirSync(folder, { recursive: true });
await until(async () => (await statusOf(FLOWS.failed ?? "")) === "Suspend");
await until(async () => (await statusOf(FLOWS.large ?? "")) === "Finish");
const screens: [string, string, string][] = [
  ["flows", "#/flows", "table.flows tbody tr"],
  ["errors", "#/errors", "tbody tr"],
  ["flow-failed", `#/flows/${FLOWS.failed}`, ".error .message"],
  ["flow-list", `#/flows/${FLOWS.failed}?view=list&task=11&tab=log`, ".line"],
  ["flow-running", `#/flows/${FLOWS.running}?task=2`, ".progress"],
  ["flow-waiting", `#/flows/${FLOWS.waiting}?task=2`, ".why"],
  ["flow-finished", `#/flows/${FLOWS.finished}?task=1`, ".attempts"],
  ["flow-hostile", `#/flows/${FLOWS.hostile}?task=1&view=list`, ".json"],
  ["flow-large", `#/flows/${FLOWS.large}`, ".dag canvas"],
];
const browser = await openBrowser();
for (const [name, path, shown] of screens) {
  for (const [width, height] of [
    [1440, 860],
    [768, 1024],
    [360, 740],
  ] as const) {
    for (const dark of width === 768 ? [false] : [false, true]) {
      const { page, complaints } = await openPage(browser, path, { width, height, dark });
      await page.locator(shown).first().waitFor();
      await page.waitForTimeout(400);
      await page.screenshot({ path: join(folder, `${name}-${width}-${dark ? "dark" : "light"}.png`) });
      if (complaints.length > 0) console.error(name, complaints);
      await page.close();
    }
  }
}
await browser.close();
