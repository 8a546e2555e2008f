// Strikes: tasks of a program that are passed over where a parameter has a value.
import { type Signal, useSignal } from "@preact/signals";
import { useAnswer, wordsOf } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { pathTo } from "../lib/paths.ts";
import { session } from "../lib/session.ts";
import { AskDialog } from "../ui/ask-dialog.tsx";
import { readJson } from "../ui/json-field.tsx";
import type { SaidWords } from "../ui/said.tsx";
import { TextField } from "../ui/text-field.tsx";
import type { Strike } from "./limit-types.ts";

const REST_MS = 4_000;

export function Strikes({ said }: { said: Signal<SaidWords | null> }) {
  const { value, again } = useAnswer<{ strikes: Strike[] }>("strikes", REST_MS);
  const isAsked = useSignal(false);
  const strikes = value?.strikes ?? [];
  const add = async (strike: Omit<Strike, "id" | "by">) => {
    const { program, parameter, value: struck, reason } = strike;
    await act("strikes", { program, parameter, value: struck, reason });
    again();
  };
  const remove = async (strike: Strike) => {
    try {
      await act(pathTo("strikes", strike.id), undefined, "DELETE");
      again();
      said.value = { words: "The strike is gone", undo: () => add(strike) };
    } catch (error) {
      said.value = { words: wordsOf(error), undo: null };
    }
  };
  return (
    <section>
      <div class="section-head">
        <h2>Strikes</h2>
        <span class="muted">Tasks that are passed over where a parameter has a value.</span>
        <span class="grow" />
        {session.value?.mayOperate && (
          <button type="button" onClick={() => (isAsked.value = true)}>
            New strike
          </button>
        )}
      </div>
      {strikes.length > 0 && (
        <table class="rows">
          <thead>
            <tr>
              <th>Program</th>
              <th class="w-p">Parameter</th>
              <th class="w-p">Value</th>
              <th class="w-p wide">By</th>
              <th class="w-m">
                <span class="hidden">What can be done</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {strikes.map((one) => (
              <tr key={one.id}>
                <td>
                  <bdi>{one.program}</bdi>
                </td>
                <td>
                  <bdi>{one.parameter}</bdi>
                </td>
                <td class="mono">
                  <bdi>{JSON.stringify(one.value)}</bdi>
                </td>
                <td class="wide">
                  <bdi>{one.by}</bdi> <bdi class="muted">{one.reason}</bdi>
                </td>
                <td class="links-cell">
                  {session.value?.mayOperate && (
                    <button type="button" class="link" onClick={() => remove(one)}>
                      Remove
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {isAsked.value && <NewStrike onAdd={add} onClose={() => (isAsked.value = false)} />}
    </section>
  );
}

interface Props {
  onAdd: (strike: Omit<Strike, "id" | "by">) => Promise<void>;
  onClose: () => void;
}

function NewStrike({ onAdd, onClose }: Props) {
  const program = useSignal("");
  const parameter = useSignal("");
  const value = useSignal("");
  const reason = useSignal("");
  const read = readJson(value.value);
  const run = () =>
    onAdd({
      program: program.value,
      parameter: parameter.value,
      value: read.value as Strike["value"],
      reason: reason.value,
    });
  return (
    <AskDialog
      title="New strike"
      verb="Strike"
      isReady={program.value !== "" && parameter.value !== "" && read.value !== undefined}
      run={run}
      onClose={onClose}
    >
      <p>
        Tasks of the program are passed over, from the next start on, where the parameter has exactly this
        value.
      </p>
      <div class="fields">
        <TextField label="Program" text={program} />
        <TextField label="Parameter" text={parameter} />
        <TextField label='Value (JSON: 17, "a text", true)' text={value} />
        {read.problem !== null && <p class="hint wrong">{read.problem}</p>}
        <TextField label="Why" text={reason} />
      </div>
    </AskDialog>
  );
}
