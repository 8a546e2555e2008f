// The versions of a workflow, and what is different between two of them.
import { useAnswer, usePages } from "../lib/answers.ts";
import { pathTo } from "../lib/paths.ts";
import { replaceQuery, route, withQuery } from "../lib/route.ts";
import { iso, moment } from "../lib/times.ts";
import { useLineKeys } from "../ui/line-keys.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import type { Version, VersionDetail } from "./workflow-types.ts";

const REST_MS = 10_000;
const SIGNS = { added: "+", removed: "−", changed: "~" };

export function Versions({ name }: { name: string }) {
  const path = `${pathTo("workflows", name, "versions")}?limit=100`;
  const { items, problem, more } = usePages<Version>(path, "versions", REST_MS);
  const versions = items ?? [];
  const newest = versions.find(({ isNewest }) => isNewest) ?? versions[0];
  const asked = Number(route.value.query.get("version"));
  const shown = versions.find(({ number }) => number === asked) ?? newest;
  const numbers = versions.map(({ number }) => String(number));
  const chosen = useLineKeys("version", numbers, (number) => replaceQuery({ version: number, with: null }));
  const other = Number(route.value.query.get("with")) || beforeOf(shown, versions)?.number;
  return (
    <div class="versions">
      <ProblemLine words={problem} />
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="scroll" role="region" aria-label="Versions" tabIndex={0}>
        <table class="rows">
          <thead>
            <tr>
              <th class="w-s number">Version</th>
              <th class="w-s number">Tasks</th>
              <th>Since</th>
              <th class="w-p wide">By</th>
              <th class="w-m wide">Hash</th>
            </tr>
          </thead>
          <tbody>
            {versions.map((one) => (
              <tr key={one.number} class={classOf(one, shown, chosen)}>
                <td class="number">
                  <a
                    href={withQuery({ version: one.number, with: null })}
                    aria-current={one === shown ? "true" : undefined}
                  >
                    {one.number}
                  </a>
                </td>
                <td class="number">{one.taskCount}</td>
                <td title={iso(Date.parse(one.createdTs))}>
                  {moment(Date.parse(one.createdTs))} {one.isNewest && <span class="muted">in use</span>}
                </td>
                <td class="wide">
                  <bdi>{one.createdBy ?? "SQL"}</bdi>
                </td>
                <td class="wide mono">{one.hash.slice(0, 12)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {more !== null && (
          <p class="more">
            <button type="button" onClick={more}>
              Show older versions
            </button>
          </p>
        )}
      </div>
      {shown !== undefined && (
        <section class="differences">
          <div class="differences-head">
            <h2>Version {shown.number}</h2>
            {versions.length > 1 && (
              <label>
                <span class="muted">against</span>{" "}
                <select
                  aria-label="Compare with version"
                  value={String(other ?? "")}
                  onChange={(event) => replaceQuery({ with: event.currentTarget.value })}
                >
                  {versions
                    .filter((one) => one !== shown)
                    .map(({ number }) => (
                      <option key={number} value={String(number)}>
                        version {number}
                      </option>
                    ))}
                </select>
              </label>
            )}
          </div>
          {other === undefined ? (
            <p class="muted">It is the only version so far. What the next one changes is shown here.</p>
          ) : (
            <Differences name={name} version={shown.number} other={other} />
          )}
        </section>
      )}
    </div>
  );
}

function Differences({ name, version, other }: { name: string; version: number; other: number }) {
  const path = `${pathTo("workflows", name, "versions", version)}?differencesFrom=${other}`;
  const { value, problem } = useAnswer<VersionDetail>(path);
  const found = value?.differences;
  return (
    <>
      <ProblemLine words={problem} />
      {found?.length === 0 && <p class="muted">Nothing is different.</p>}
      <ul class="diff">
        {found?.map(({ kind, text }) => (
          <li key={text} class={kind}>
            <span aria-hidden="true">{SIGNS[kind]}</span>
            <span class="hidden">{kind}: </span>
            <bdi>{kind === "changed" ? text : text.slice(2)}</bdi>
          </li>
        ))}
      </ul>
    </>
  );
}

function classOf(one: Version, shown: Version | undefined, chosen: string): string | undefined {
  if (String(one.number) === chosen) return "chosen";
  return one === shown ? "shown" : undefined;
}

/** The version that was in use before. */
function beforeOf(shown: Version | undefined, versions: readonly Version[]): Version | undefined {
  if (shown === undefined) return undefined;
  return versions.find(({ number }) => number < shown.number) ?? versions.find((one) => one !== shown);
}
