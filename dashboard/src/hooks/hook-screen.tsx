// A hook, and the ledger of what it told: to whom it came, what was answered, what is tried again.
import { useSignal } from "@preact/signals";
import { useAnswer, usePages, wordsOf } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { pathTo } from "../lib/paths.ts";
import { go, hrefOf, route, withQuery } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import type { Stage } from "../lib/statuses.ts";
import { iso, moment } from "../lib/times.ts";
import { AskDialog } from "../ui/ask-dialog.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import { leaveSaid, Said, useSaid } from "../ui/said.tsx";
import { StatusMark } from "../ui/status-mark.tsx";
import { HookDialog } from "./hook-dialog.tsx";
import { type Delivery, definitionOf, type HookView, markOf } from "./hook-types.ts";

const REST_MS = 2_000;
const STATES: [Delivery["state"], string, Stage][] = [
  ["delivered", "delivered", "finished"],
  ["waiting", "waiting", "retry"],
  ["given_up", "given up", "suspended"],
];

export function HookScreen({ name }: { name: string }) {
  const path = pathTo("hooks", name);
  const { value: hook, problem, again } = useAnswer<HookView>(path, REST_MS);
  const states = route.value.query.getAll("state");
  const asked = states.map((state) => `&state=${encodeURIComponent(state)}`).join("");
  const deliveries = usePages<Delivery>(`${path}/deliveries?limit=100${asked}`, "deliveries", REST_MS);
  const isEdited = useSignal(false);
  const isDeleted = useSignal(false);
  const said = useSaid();
  const mayOperate = session.value?.mayOperate ?? false;
  const say = async (
    words: string,
    run: () => Promise<unknown>,
    undo: (() => Promise<void>) | null = null,
  ) => {
    try {
      await run();
      said.value = { words, undo };
      again();
      deliveries.again();
    } catch (error) {
      said.value = { words: wordsOf(error), undo: null };
    }
  };
  const pause = (one: HookView, isPaused: boolean) => act(path, { ...definitionOf(one), isPaused }, "PUT");
  const remove = async (one: HookView) => {
    await act(path, undefined, "DELETE");
    const { isPaused, reason } = one;
    leaveSaid({
      words: `Hook ${name} is deleted`,
      undo: () => act(path, { ...definitionOf(one), isPaused, reason }, "PUT"),
    });
    go(["hooks"]);
  };
  return (
    <div class="screen">
      <div class="bar flow-head">
        <h1>
          <a class="up" href={hrefOf(["hooks"])}>
            Hooks
          </a>
          {" / "}
          <bdi>{name}</bdi>
        </h1>
        {hook !== null && (
          <span class={`badge ${markOf(hook).stage}`}>
            <StatusMark {...markOf(hook)} isNamed />
            {markOf(hook).word}
          </span>
        )}
        <fieldset class="chips">
          <legend class="hidden">Deliveries</legend>
          {STATES.map(([state, word]) => {
            const isOn = states.includes(state);
            const changed = isOn ? states.filter((one) => one !== state) : [...states, state];
            return (
              <a
                key={state}
                class="chip"
                aria-current={isOn ? "true" : undefined}
                href={withQuery({ state: changed })}
              >
                {word}
              </a>
            );
          })}
        </fieldset>
        <span class="grow" />
        {hook !== null && mayOperate && (
          <span class="operations">
            <Said said={said} />
            <button type="button" onClick={() => say("A test is on its way", () => act(`${path}/test`, {}))}>
              Test
            </button>
            <button
              type="button"
              onClick={() =>
                say(
                  hook.isPaused ? "It goes on" : "Paused",
                  () => pause(hook, !hook.isPaused),
                  async () => {
                    await pause(hook, hook.isPaused);
                    again();
                  },
                )
              }
            >
              {hook.isPaused ? "Resume" : "Pause"}
            </button>
            <button type="button" onClick={() => (isEdited.value = true)}>
              Edit
            </button>
            <button type="button" onClick={() => (isDeleted.value = true)}>
              Delete
            </button>
          </span>
        )}
      </div>
      {hook !== null && (
        <p class="described">
          {hook.kind} <bdi>{hook.target}</bdi> · {hook.occasions.join(", ")}
          {hook.taskId !== null && (
            <>
              {" "}
              of <bdi>{hook.taskId}</bdi>
            </>
          )}
        </p>
      )}
      <ProblemLine words={problem ?? deliveries.problem} />
      {hook?.problems?.map(({ detail }) => (
        <ProblemLine key={detail} words={`It tells nothing: ${detail}`} />
      ))}
      {deliveries.items?.length === 0 && (
        <div class="empty">
          <p>{states.length > 0 ? "It told nothing like that." : "It told nothing so far."}</p>
          {mayOperate && (
            <p class="muted">“Test” sends something that means nothing, to see whether it is heard.</p>
          )}
        </div>
      )}
      {deliveries.items !== null && deliveries.items.length > 0 && (
        // biome-ignore lint/a11y/useSemanticElements: it scrolls
        <div class="scroll" role="region" aria-label="What it told" tabIndex={0}>
          <table class="rows">
            <thead>
              <tr>
                <th class="w-m">Became</th>
                <th class="w-l roomy">Of what</th>
                <th>What was answered</th>
                <th class="w-m wide">When</th>
                <th class="w-m">
                  <span class="hidden">What can be done</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {deliveries.items.map((one) => (
                <Line
                  key={one.id}
                  delivery={one}
                  onRedeliver={() =>
                    say("It is told again", () => act(pathTo("hook-deliveries", one.id, "redeliver"), {}))
                  }
                />
              ))}
            </tbody>
          </table>
          {deliveries.more !== null && (
            <p class="more">
              <button type="button" onClick={deliveries.more}>
                Show older ones
              </button>
            </p>
          )}
        </div>
      )}
      {isDeleted.value && hook !== null && (
        <AskDialog
          title={`Delete hook ${name}`}
          verb="Delete"
          run={() => remove(hook)}
          onClose={() => (isDeleted.value = false)}
        >
          <p>
            It tells nothing any more, and what it has not delivered yet is given up. What it told stays in
            its list for as long as that of others.
          </p>
        </AskDialog>
      )}
      {isEdited.value && hook !== null && (
        <HookDialog
          hook={hook}
          onClose={() => (isEdited.value = false)}
          onDone={() => {
            said.value = { words: "Saved", undo: null };
            again();
          }}
        />
      )}
    </div>
  );
}

function Line({ delivery: one, onRedeliver }: { delivery: Delivery; onRedeliver: () => void }) {
  const [, word, stage] = STATES.find(([state]) => state === one.state) ?? [
    "",
    one.state,
    "waiting" as const,
  ];
  const answered = [one.status === null ? "" : String(one.status), one.error || one.answer]
    .filter(Boolean)
    .join(" ");
  const created = Date.parse(one.createdTs);
  const occasion =
    one.taskFlowId === null ? one.occasion : <a href={hrefOf(["flows", one.taskFlowId])}>{one.occasion}</a>;
  return (
    <tr>
      <td>
        <StatusMark stage={stage} isNamed /> {word}
        <span class="cramped">{occasion}</span>
      </td>
      <td class="roomy">{occasion}</td>
      <td class="whole">
        <bdi class={one.error === "" ? "muted" : "wrong"}>{answered}</bdi>
        {one.nextTs !== null && one.attempts > 0 && (
          <span class="muted"> again at {moment(Date.parse(one.nextTs))}</span>
        )}
      </td>
      <td class="wide" title={iso(created)}>
        {moment(created)}
      </td>
      <td class="links-cell">
        {session.value?.mayOperate && (
          <button type="button" class="link" onClick={onRedeliver}>
            Tell it again
          </button>
        )}
      </td>
    </tr>
  );
}
