// Bundles the dashboard into services/flower_api/dashboard_bundle/: hashed files, gzipped too, and licences.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (out === undefined) throw new Error("usage: node build.mjs FOLDER");

const built = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx" },
  outdir: out,
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "none", // they are in licences.txt, with those of libraries that have none in their code
  metafile: true,
  write: false,
  logLevel: "warning",
});

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const names = [];
for (const file of built.outputFiles) {
  const name = file.path.slice(out.length + 1);
  names.push(name);
  put(name, file.contents);
}
put("index.html", Buffer.from(page()));
put("icon.svg", readFileSync(join(here, "src/icon.svg")));
writeFileSync(join(out, "licences.txt"), licences());

function put(name, contents) {
  writeFileSync(join(out, name), contents);
  writeFileSync(join(out, `${name}.gz`), gzipSync(contents, { level: 9 }));
}

function page() {
  const script = names.find((name) => /^app-.*\.js$/.test(name));
  const style = names.find((name) => /^app-.*\.css$/.test(name));
  return readFileSync(join(here, "src/index.html"), "utf8")
    .replace("APP_SCRIPT", `ui/${script}`)
    .replace("APP_STYLE", `ui/${style}`);
}

// Of each package whose code is in the bundle: name, version and the text of its licence.
function licences() {
  const packages = new Set();
  for (const input of Object.keys(built.metafile.inputs)) {
    const found = /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) packages.add(found[1]);
  }
  const texts = [...packages].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
    const file = readdirSync(join(here, folder)).find((one) => /^licen[cs]e/i.test(one));
    if (file === undefined) throw new Error(`${name} has no file with its licence`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(here, folder, file), "utf8").trim()}\n`;
  });
  return `What of others is in the bundle.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
