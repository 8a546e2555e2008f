// Bundles the tests (TypeScript) and runs them with node's own runner; arguments go to it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const LAST = ["lists", "tokens"]; // behind these the engine is not what it was
const here = dirname(fileURLToPath(import.meta.url));
const [only = ".test.ts", ...more] = process.argv.slice(2);
const out = mkdtempSync(join(here, "../node_modules/.ui-tests-")); // where packages are found from
const files = readdirSync(here).filter(
  (name) => name.endsWith(".ts") && only.split(",").some((one) => name.includes(one)),
);
const rank = (name) => LAST.findIndex((last) => name.startsWith(last));
files.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
await build({
  // node's runner takes them by name
  entryPoints: files.map((name, index) => ({
    in: join(here, name),
    out: `${String(index).padStart(2, "0")}-${name.replace(/[.]ts$/, "")}`,
  })),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  logLevel: "warning",
});
const tests = readdirSync(out).map((name) => join(out, name));
const runner = only.includes("test") ? ["--test", "--test-concurrency=1"] : [];
const done = spawnSync(process.execPath, [...runner, ...more, ...tests], { stdio: "inherit" });
rmSync(out, { recursive: true, force: true });
process.exit(done.status ?? 1);
