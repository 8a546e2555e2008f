// Flow control: limits with what of them is in use, rates, weights, pauses; and strikes. All of it is edited here.
import { useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { useAnswer, wordsOf } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { bindKeys } from "../lib/keys.ts";
import { pathTo } from "../lib/paths.ts";
import { route } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { useLineKeys } from "../ui/line-keys.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { Said, useSaid } from "../ui/said.tsx";
import { LimitDialog } from "./limit-dialog.tsx";
import { type LimitUse, type LimitView, settingsOf } from "./limit-types.ts";
import { Strikes } from "./strikes.tsx";

const REST_MS = 2_000;

interface Limits {
  limits: LimitView[];
  unreadable?: { scope: string; name: string; problem: string }[];
}

export function LimitsScreen() {
  const { value, problem, again } = useAnswer<Limits>("limits", REST_MS);
  const { value: top } = useAnswer<{ limits: LimitUse[] }>("top", REST_MS);
  const edited = useSignal<LimitView | "new" | null>(null);
  const said = useSaid();
  const mayOperate = session.value?.mayOperate ?? false;
  const limits = value?.limits ?? [];
  const chosen = useLineKeys("limit", limits.map(nameOf), (name) => {
    if (mayOperate) edited.value = limits.find((one) => nameOf(one) === name) ?? null;
  });
  useLayoutEffect(() => {
    if (!mayOperate) return;
    return bindKeys([{ keys: "n", what: "a new limit", run: () => (edited.value = "new") }]);
  }, [mayOperate, edited]);
  const set = async (limit: LimitView, settings: Record<string, unknown>) => {
    await act(pathOf(limit), settings, "PUT");
    again();
  };
  const remove = async (limit: Pick<LimitView, "scope" | "name">) => {
    await act(pathOf(limit), undefined, "DELETE");
    again();
  };
  const turn = async (limit: LimitView) => {
    const before = settingsOf(limit);
    try {
      await set(limit, { ...before, isPaused: !limit.isPaused });
      const words = `${titleOf(limit)} ${limit.isPaused ? "goes on" : "is paused"}`;
      said.value = { words, undo: () => set(limit, before) };
    } catch (error) {
      said.value = { words: wordsOf(error), undo: null };
    }
  };
  const takeBack = async (limit: LimitView) => {
    try {
      await remove(limit);
      said.value = { words: `${titleOf(limit)} is free again`, undo: () => set(limit, settingsOf(limit)) };
    } catch (error) {
      said.value = { words: wordsOf(error), undo: null };
    }
  };
  return (
    <div class="screen">
      <div class="bar">
        <h1>Limits</h1>
        <span class="grow" />
        <Said said={said} />
        {mayOperate && (
          <button type="button" onClick={() => (edited.value = "new")}>
            New limit or pause
          </button>
        )}
      </div>
      <ProblemLine words={problem} />
      {value?.unreadable?.map((one) => (
        <ProblemLine key={`${one.scope} ${one.name}`} words={`${one.scope} ${one.name}: ${one.problem}`} />
      ))}
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="scroll sections" role="region" aria-label="Limits and strikes" tabIndex={0}>
        {value !== null && limits.length === 0 && <NoLimit />}
        {limits.length > 0 && (
          <table class="rows">
            <thead>
              <tr>
                <th>Of what</th>
                <th class="w-p wide">What holds</th>
                <th class="w-l wide">In use</th>
                <th class="w-p wide">Set by</th>
                <th class="w-acts">
                  <span class="hidden">What can be done</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {limits.map((one) => (
                <tr key={nameOf(one)} class={nameOf(one) === chosen ? "chosen" : undefined}>
                  <td class="whole">
                    <bdi>{titleOf(one)}</bdi>
                    {one.isPaused && <span class="badge paused small">paused</span>}
                    <span class="narrow muted">
                      {wordsFor(one)} <Use limit={one} uses={top?.limits ?? []} />
                    </span>
                    {one.problem && <span class="wrong block">{one.problem}</span>}
                    {sharesOf(one).map((words) => (
                      <span key={words} class="muted block shares">
                        {words}
                      </span>
                    ))}
                  </td>
                  <td class="wide whole">{wordsFor(one)}</td>
                  <td class="wide">
                    <Use limit={one} uses={top?.limits ?? []} />
                  </td>
                  <td class="wide" title={one.reason}>
                    <bdi>{one.changedBy}</bdi> <bdi class="muted">{one.reason}</bdi>
                  </td>
                  <td class="links-cell">
                    {mayOperate && (
                      <>
                        <button type="button" class="link" onClick={() => turn(one)}>
                          {one.isPaused ? "Resume" : "Pause"}
                        </button>
                        <button type="button" class="link" onClick={() => (edited.value = one)}>
                          Edit
                        </button>
                        <button type="button" class="link" onClick={() => takeBack(one)}>
                          Remove
                        </button>
                      </>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        <Strikes said={said} />
      </div>
      {edited.value !== null && (
        <LimitDialog
          limit={edited.value === "new" ? null : edited.value}
          begin={{
            scope: route.value.query.get("scope") ?? "queue",
            name: route.value.query.get("name") ?? "",
          }}
          onClose={() => (edited.value = null)}
          onDone={(target, before) => {
            const undo = () => (before === null ? remove(target) : set(before, settingsOf(before)));
            said.value = { words: `${titleOf(target)}: set`, undo };
            again();
          }}
          before={(target) => limits.find((one) => nameOf(one) === nameOf(target)) ?? null}
        />
      )}
    </div>
  );
}

type Target = Pick<LimitView, "scope" | "name">;

function nameOf({ scope, name }: Target): string {
  return `${scope} ${name}`;
}

function titleOf({ scope, name }: Target): string {
  return scope === "global" ? "everything" : `${scope} ${name}`;
}

function pathOf({ scope, name }: Target): string {
  return scope === "global" ? "limits/global" : pathTo("limits", scope, name);
}

function wordsFor(one: LimitView): string {
  const parts: string[] = [];
  if (one.maxRunning !== null) parts.push(`${one.maxRunning} at once`);
  if (one.maxPerKey !== null) parts.push(`${one.maxPerKey} at once for each ${one.limitBy}`);
  if (one.maxFlows !== null) parts.push(`${one.maxFlows} flows (then ${one.atMaxFlows})`);
  if (one.rate !== null) parts.push(`${one.rate} starts in ${one.ratePeriodSeconds} s`);
  if (one.fairBy !== null) parts.push(`${one.fairBy} takes turns`);
  if (one.weight !== null) parts.push(`weight ${one.weight}`);
  return parts.join(", ");
}

const SHARED: Record<string, [string, (one: LimitView) => number | null]> = {
  maxRunning: ["at once", (one) => one.maxRunning],
  rate: ["starts", (one) => one.rate],
  maxFlows: ["flows", (one) => one.maxFlows],
};

/** What each partition may use now, and how much of it others lent it; none where there is one partition. */
function sharesOf(one: LimitView): string[] {
  return Object.entries(one.shares ?? {}).map(([name, shares]) => {
    const [word, of] = SHARED[name] ?? [name, () => null];
    const all = Object.entries(shares);
    const even = Math.ceil((of(one) ?? 0) / Math.max(1, all.length));
    const said = all.map(([partition, share]) =>
      share > even ? `${partition}: ${share} (${share - even} lent)` : `${partition}: ${share}`,
    );
    return `${word}, by partition: ${said.join(", ")}`;
  });
}

function Use({ limit, uses }: { limit: LimitView; uses: LimitUse[] }) {
  const use = uses.find((one) => one.scope === limit.scope && one.name === limit.name && one.key === "");
  if (use === undefined) return null;
  if (limit.maxRunning === null) return <>{use.running} running</>;
  return (
    <>
      <progress max={limit.maxRunning} value={use.running} aria-label="In use" /> {use.running}/
      {limit.maxRunning}
    </>
  );
}

function NoLimit() {
  return (
    <div class="empty beginning">
      <h2>Nothing is limited or paused</h2>
      <p>
        A queue, a program, a workflow, or everything may run so much at once, start so often, or be paused:
      </p>
      <pre>{`flower limits set program load --max-running 4 --rate 100/s
flower limits set queue gpu --pause --reason "driver update"`}</pre>
    </div>
  );
}
