// Draws diagrams in a Chromium: node diagrams.mjs MERMAID.js FOLDER, with JSON on standard input,
// name -> text of the diagram; writes FOLDER/name.svg. `make diagrams` (website/diagrams.py) calls it.
import { readFile, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import chromium from "@sparticuz/chromium";
import { chromium as playwright } from "playwright-core";

const [library, folder] = process.argv.slice(2);
const diagrams = JSON.parse(await text(process.stdin));
const browser = await playwright.launch({
  executablePath: await chromium.executablePath(),
  args: chromium.args.filter((one) => one !== "--single-process"),
  headless: true,
});
try {
  const page = await browser.newPage();
  await page.addScriptTag({ content: await readFile(library, "utf8") });
  for (const [name, source] of Object.entries(diagrams)) {
    const svg = await page.evaluate(
      async ([id, definition]) => {
        const { mermaid } = globalThis;
        mermaid.initialize({
          startOnLoad: false,
          theme: "neutral",
          htmlLabels: false,
          flowchart: { htmlLabels: false },
          state: { htmlLabels: false },
          fontFamily: "sans-serif",
        });
        return (await mermaid.render(`d${id}`, definition)).svg;
      },
      [name, source],
    );
    await writeFile(`${folder}/${name}.svg`, `${svg}\n`);
  }
} finally {
  await browser.close();
}
