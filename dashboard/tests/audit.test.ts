// Who did what: listed as it happens, narrowed down, and from each line to what it was done to.
import { test } from "node:test";
import { api } from "./browser.ts";
import { post, put, registered, showing, useBrowser } from "./pages.ts";

const shown = showing(useBrowser());

test("what people do is listed as they do it, and narrowed down to one kind and one of them", async () => {
  const flow = await registered("audited", [{ taskSeq: 1, program: "nothing", queue: "nowhere" }]);
  await shown("#/audit", async (page) => {
    const line = (words: string | RegExp) => page.locator(".audit tbody tr", { hasText: words });
    await line(/registered audited/)
      .first()
      .waitFor();
    await api(`flows/${flow}/pause`, post({ reason: "<b>the move</b>" }));
    await line(/paused audited.*“<b>the move<\/b>”/).waitFor();
    await api("limits/workflow/audited", put({ maxRunning: 3 }));
    await api("limits/workflow/audited", put({ maxRunning: 7 }));
    await line(/changed limits of workflow audited.*max running 3 → 7/).waitFor();
    await page.getByRole("link", { name: "Operations" }).click();
    await line(/changed limits/).waitFor({ state: "detached" });
    await line(/paused audited/).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("nobody");
    await page.keyboard.press("Enter");
    await page.getByText("Nobody did anything like that.").waitFor();
    await page.getByRole("link", { name: "Show all" }).click();
    await line(/paused audited/)
      .getByRole("link", { name: "audited" })
      .click();
    await page.locator(".badge.paused").waitFor();
  });
  await api("limits/workflow/audited", { method: "DELETE" });
});
