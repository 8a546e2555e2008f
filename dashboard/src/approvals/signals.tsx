// Sends a signal, to one flow or to all that await it; below, those that are kept for flows to come.
import { useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { usePages, wordsOf } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { counted } from "../lib/counts.ts";
import { bindKeys } from "../lib/keys.ts";
import { pathTo, shortId } from "../lib/paths.ts";
import { hrefOf } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { moment } from "../lib/times.ts";
import { AskDialog } from "../ui/ask-dialog.tsx";
import { readJson } from "../ui/json-field.tsx";
import { useLineKeys } from "../ui/line-keys.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { TextField } from "../ui/text-field.tsx";
import type { KeptSignal } from "./approval-types.ts";

const REST_MS = 4_000;

interface Became {
  words: string;
  flows: string[];
}

export function Signals({ onSaid }: { onSaid: (words: string) => void }) {
  const { items, problem, again } = usePages<KeptSignal>("signals?limit=100", "signals", REST_MS);
  const asked = useSignal<KeptSignal | null>(null);
  const mayOperate = session.value?.mayOperate ?? false;
  const chosen = useLineKeys("signal", items?.map(({ id }) => id) ?? [], () => undefined);
  const line = items?.find(({ id }) => id === chosen);
  useLayoutEffect(() => {
    if (line === undefined || !mayOperate) return;
    return bindKeys([{ keys: "d", what: "delete the signal", run: () => (asked.value = line) }]);
  }, [line?.id, mayOperate, asked]);
  const remove = async (one: KeptSignal) => {
    await act(pathTo("signals", one.id), undefined, "DELETE");
    onSaid(`The kept signal ${one.name} is deleted`);
    again();
  };
  return (
    <div class="editor">
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="scroll" role="region" aria-label="Signals that are kept" tabIndex={0}>
        <ProblemLine words={problem} />
        {items?.length === 0 && (
          <div class="empty">
            <p>No signal is kept.</p>
            <p class="muted">
              A signal is taken by tasks that await its name at that moment. One that is kept waits for those
              that come later.
            </p>
          </div>
        )}
        {items !== null && items.length > 0 && (
          <table class="rows">
            <thead>
              <tr>
                <th>Kept signal</th>
                <th class="w-p wide">Key</th>
                <th class="w-m wide">By</th>
                <th class="w-when">Until</th>
                <th class="w-s number">Taken</th>
                {mayOperate && (
                  <th class="w-s">
                    <span class="hidden">What can be done</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <tr key={one.id} class={one === line ? "chosen" : undefined} title={`id ${one.id}`}>
                  <td>
                    <bdi>{one.name}</bdi>
                  </td>
                  <td class="wide">
                    <bdi>{one.key}</bdi>
                  </td>
                  <td class="wide">
                    <bdi>{one.by}</bdi>
                  </td>
                  <td>{moment(Date.parse(one.until))}</td>
                  <td class="number">{one.taken}</td>
                  {mayOperate && (
                    <td>
                      <button type="button" class="link" onClick={() => (asked.value = one)}>
                        Delete
                      </button>
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="beside" role="region" aria-label="Send a signal" tabIndex={0}>
        <h2>Send a signal</h2>
        {session.value?.mayOperate ? (
          <SendForm onSent={again} />
        ) : (
          <p class="muted">This token may only read.</p>
        )}
      </div>
      {asked.value !== null && (
        <DeleteSignal
          signal={asked.value}
          run={() => remove(asked.value as KeptSignal)}
          onClose={() => (asked.value = null)}
        />
      )}
    </div>
  );
}

interface DeleteProps {
  signal: KeptSignal;
  run: () => Promise<void>;
  onClose: () => void;
}

function DeleteSignal({ signal: one, run, onClose }: DeleteProps) {
  return (
    <AskDialog title="Delete a kept signal" verb="Delete" run={run} onClose={onClose}>
      <p>
        <bdi>{one.name}</bdi>
        {one.key !== "" && (
          <>
            {" "}
            with the key <bdi>{one.key}</bdi>
          </>
        )}
        : tasks that come to await it do not get it any more.
        {one.taken > 0 && ` ${counted(one.taken, "task")} took it, and keep what it said.`}
      </p>
    </AskDialog>
  );
}

function SendForm({ onSent }: { onSent: () => void }) {
  const name = useSignal("");
  const key = useSignal("");
  const flow = useSignal("");
  const payload = useSignal("");
  const keep = useSignal("");
  const isFirst = useSignal(false);
  const became = useSignal<Became | null>(null);
  const problem = useSignal<string | null>(null);
  const isUnderWay = useSignal(false);
  const read = readJson(payload.value);
  const isReady = name.value !== "" && read.problem === null && !isUnderWay.value;
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!isReady) return;
    isUnderWay.value = true;
    problem.value = null;
    became.value = null;
    const said = { name: name.value, key: key.value, payload: read.value ?? null };
    try {
      if (flow.value.trim() !== "") {
        const told = await act<{ taskFlowId: string; became: string }>(
          `${pathTo("flows", flow.value.trim())}/signals`,
          said,
        );
        became.value = { words: WORDS[told.became] ?? told.became, flows: [told.taskFlowId] };
      } else {
        const told = await act<{ taken: number; unfit: number; tasks: { taskFlowId: string }[] }>("signals", {
          ...said,
          first: isFirst.value,
          ...(keep.value !== "" && { keepSeconds: Number(keep.value) }),
        });
        const unfit =
          told.unfit > 0
            ? `; ${counted(told.unfit, "flow")} did not take it: not such a payload, or no more signals`
            : "";
        became.value = {
          words: `Taken by ${counted(told.taken, "task")}${unfit}`,
          flows: told.tasks.map(({ taskFlowId }) => taskFlowId).slice(0, 10),
        };
      }
      onSent();
    } catch (error) {
      problem.value = wordsOf(error);
    }
    isUnderWay.value = false;
  };
  return (
    <form class="fields" onSubmit={submit} noValidate>
      <TextField label="Name" text={name} placeholder="order.paid" />
      <TextField label="Key: only to those that await this one" text={key} placeholder="none" />
      <TextField
        label="Flow: only to this one, which keeps it until it is awaited"
        text={flow}
        placeholder="all"
      />
      <label>
        <span>Payload (JSON)</span>
        <textarea
          rows={3}
          placeholder="none"
          aria-invalid={read.problem !== null}
          value={payload.value}
          onInput={(event) => (payload.value = event.currentTarget.value)}
        />
      </label>
      {read.problem !== null && <p class="hint wrong">{read.problem}</p>}
      {flow.value.trim() === "" && (
        <>
          <TextField label="Keep it for so many seconds, for flows to come" text={keep} placeholder="not" />
          <label class="check">
            <input
              type="checkbox"
              checked={isFirst.value}
              onChange={(event) => (isFirst.value = event.currentTarget.checked)}
            />
            <span>for one flow only, that which awaits it longest</span>
          </label>
        </>
      )}
      <ProblemLine words={problem.value} />
      <div class="choices">
        <button type="submit" class="strong" disabled={!isReady}>
          Send
        </button>
      </div>
      <div role="status">
        {became.value !== null && (
          <p>
            {became.value.words}{" "}
            {became.value.flows.map((one) => (
              <a key={one} class="mono" href={hrefOf(["flows", one])}>
                {shortId(one)}{" "}
              </a>
            ))}
          </p>
        )}
      </div>
    </form>
  );
}

const WORDS: Record<string, string> = {
  taken: "Taken by",
  kept: "Kept until it is awaited, by",
  known: "It came before, to",
};
