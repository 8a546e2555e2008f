// Hooks, which tell others what happens here; or one of them, with the ledger of what it told.
import { useSignal } from "@preact/signals";
import { usePages } from "../lib/answers.ts";
import { counted } from "../lib/counts.ts";
import { go, hrefOf, route } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { useLineKeys } from "../ui/line-keys.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { Said, useSaid } from "../ui/said.tsx";
import { StatusMark } from "../ui/status-mark.tsx";
import { HookDialog } from "./hook-dialog.tsx";
import { HookScreen } from "./hook-screen.tsx";
import { type HookView, markOf } from "./hook-types.ts";

const REST_MS = 4_000;

export function HooksScreen() {
  const name = route.value.path[1];
  return name === undefined ? <AllHooks /> : <HookScreen key={name} name={name} />;
}

function AllHooks() {
  const { items, problem, more, again } = usePages<HookView>("hooks?limit=200", "hooks", REST_MS);
  const isAsked = useSignal(false);
  const said = useSaid();
  const names = (items ?? []).map(({ hook }) => hook);
  const chosen = useLineKeys("hook", names, (name) => go(["hooks", name]));
  return (
    <div class="screen">
      <div class="bar">
        <h1>Hooks</h1>
        {items !== null && <span class="muted">{counted(items.length, "hook")}</span>}
        <span class="grow" />
        <Said said={said} />
        {session.value?.mayOperate && (
          <button type="button" onClick={() => (isAsked.value = true)}>
            New hook
          </button>
        )}
      </div>
      <ProblemLine words={problem} />
      {items?.length === 0 && <NoHook />}
      {items !== null && items.length > 0 && (
        // biome-ignore lint/a11y/useSemanticElements: it scrolls
        <div class="scroll" role="region" aria-label="Hooks" tabIndex={0}>
          <table class="rows">
            <thead>
              <tr>
                <th class="w-mark">
                  <span class="hidden">State</span>
                </th>
                <th>Hook</th>
                <th class="w-p roomy">Tells of</th>
                <th class="w-p roomy">Whom</th>
                <th class="w-m">Of the last 100</th>
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <Line key={one.hook} hook={one} isChosen={one.hook === chosen} />
              ))}
            </tbody>
          </table>
          {more !== null && (
            <p class="more">
              <button type="button" onClick={more}>
                Show more hooks
              </button>
            </p>
          )}
        </div>
      )}
      {isAsked.value && (
        <HookDialog
          hook={null}
          onClose={() => (isAsked.value = false)}
          onDone={(name) => {
            again();
            go(["hooks", name]);
          }}
        />
      )}
    </div>
  );
}

function Line({ hook: one, isChosen }: { hook: HookView; isChosen: boolean }) {
  return (
    <tr class={isChosen ? "chosen" : undefined} aria-selected={isChosen}>
      <td>
        <StatusMark {...markOf(one)} />
      </td>
      <td class="name">
        <a href={hrefOf(["hooks", one.hook])}>
          <bdi>{one.hook}</bdi>
        </a>
      </td>
      <td class="roomy" title={one.occasions.join(", ")}>
        {one.occasions.join(", ")} {one.taskId !== null && <bdi class="muted">of {one.taskId}</bdi>}
      </td>
      <td class="roomy" title={one.target}>
        {one.kind} <bdi class="muted">{one.target}</bdi>
      </td>
      <td title={one.lastError}>
        {one.givenUp > 0 && <span class="wrong">{one.givenUp} given up</span>}
        {one.givenUp > 0 && one.waiting > 0 && ", "}
        {one.waiting > 0 && `${one.waiting} waiting`}
        {one.givenUp + one.waiting === 0 && <span class="muted">all delivered</span>}
      </td>
    </tr>
  );
}

function NoHook() {
  return (
    <div class="empty beginning">
      <h2>No hook yet</h2>
      <p>A hook tells others what happens here: a webhook, a command, or a function in Python.</p>
      <pre>{`flower hooks add ops --on flow.failed --on slot.missed \\
  --webhook https://alerts.example.com/flower`}</pre>
      <p class="muted">What it told, and whether it was heard, is kept and shown here.</p>
    </div>
  );
}
