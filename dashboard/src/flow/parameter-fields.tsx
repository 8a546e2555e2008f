// The parameters of a task, to be corrected before it runs again: only what was changed is sent.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, isAborted } from "../lib/api.ts";
import type { TaskDetail } from "../lib/types.ts";
import { readJson } from "../ui/json-field.tsx";
import type { LiveFlow } from "./live-flow.ts";

export interface Field {
  name: string;
  /** As it is now, as it was written, and whether that is a text (then without quotes). */
  now: unknown;
  text: string;
  isText: boolean;
  isGone: boolean;
  isNew: boolean;
}

export function useParameters(live: LiveFlow, task: number): Signal<Field[]> {
  const fields = useSignal<Field[]>([]);
  useEffect(() => {
    const ending = new AbortController();
    ask<TaskDetail>(live.pathOf(task), ending.signal).then(
      (detail) => {
        const given = (detail.parameters ?? {}) as Record<string, unknown>;
        fields.value = Object.entries(given).map(([name, now]) => fieldOf(name, now));
      },
      (error: unknown) => {
        if (!isAborted(error)) fields.value = [];
      },
    );
    return () => ending.abort();
  }, [live, task, fields]);
  return fields;
}

function fieldOf(name: string, now: unknown): Field {
  const isText = typeof now === "string";
  return { name, now, isText, text: isText ? now : JSON.stringify(now), isGone: false, isNew: false };
}

/** What of a body the fields say; null: something cannot be read. */
export function bodyOf(fields: Signal<Field[]>): { parameters?: unknown; unset?: string[] } | null {
  const parameters: Record<string, unknown> = {};
  const unset: string[] = [];
  for (const field of fields.value) {
    if (field.isGone) {
      if (!field.isNew) unset.push(field.name);
      continue;
    }
    const { value, problem } = fieldValue(field);
    if (problem !== null) return null;
    if (field.isNew ? field.name !== "" : JSON.stringify(value) !== JSON.stringify(field.now)) {
      parameters[field.name] = value;
    }
  }
  return {
    ...(Object.keys(parameters).length > 0 && { parameters }),
    ...(unset.length > 0 && { unset }),
  };
}

function fieldValue(field: Field): { value: unknown; problem: string | null } {
  if (field.isText) return { value: field.text, problem: null };
  const read = readJson(field.text);
  if (field.text.trim() === "") return { value: null, problem: field.isNew ? null : "A value is missing." };
  return read;
}

export function ParameterFields({ parameters }: { parameters: Signal<Field[]> }) {
  const set = (at: number, changes: Partial<Field>) => {
    parameters.value = parameters.value.map((one, index) => (index === at ? { ...one, ...changes } : one));
  };
  const add = () => {
    const field = { ...fieldOf("", null), text: "", isNew: true };
    parameters.value = [...parameters.value, field];
  };
  return (
    <fieldset class="parameters">
      <legend>Parameters</legend>
      {parameters.value.map((field, at) => {
        const { problem } = fieldValue(field);
        const isChanged = !field.isNew && !field.isGone && field.text !== fieldOf("", field.now).text;
        return (
          <div key={field.isNew ? at : field.name} class={field.isGone ? "parameter gone" : "parameter"}>
            {field.isNew ? (
              <input
                class="parameter-name"
                aria-label="Name of a new parameter"
                placeholder="name"
                value={field.name}
                onInput={(event) => set(at, { name: event.currentTarget.value })}
              />
            ) : (
              <bdi class={isChanged ? "parameter-name different" : "parameter-name"}>{field.name}</bdi>
            )}
            <textarea
              rows={field.text.length > 60 ? 3 : 1}
              aria-label={`Value of ${field.name}`}
              aria-invalid={problem !== null}
              placeholder="JSON"
              disabled={field.isGone}
              value={field.text}
              onInput={(event) => set(at, { text: event.currentTarget.value })}
            />
            <button
              type="button"
              class="quiet"
              onClick={() => set(at, { isGone: !field.isGone })}
              aria-label={field.isGone ? `Keep ${field.name}` : `Take ${field.name} away`}
            >
              {field.isGone ? "↺" : "✕"}
            </button>
            {problem !== null && !field.isGone && <p class="hint">{problem}</p>}
          </div>
        );
      })}
      <button type="button" class="link" onClick={add}>
        Another parameter
      </button>
    </fieldset>
  );
}
