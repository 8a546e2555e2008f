// A form made from a JSON Schema: a field for each property, the rest of what may be said as JSON.
import { type Signal, useSignal } from "@preact/signals";
import { readJson } from "../ui/json-field.tsx";
import { type SchemaField, valuesOf, type Written, wordOf, writtenOf } from "./schema-fields.ts";

export class FormState {
  readonly fields: readonly SchemaField[];
  readonly written: Signal<Written>;
  /** All of it as JSON, where somebody writes it so; null: the fields say it. */
  readonly text: Signal<string | null>;

  constructor(fields: readonly SchemaField[], written: Signal<Written>, text: Signal<string | null>) {
    this.fields = fields;
    this.written = written;
    this.text = text;
  }

  /** What is said; null: something of it cannot be read. */
  get values(): Record<string, unknown> | null {
    if (this.text.value === null) {
      const { values, problems } = valuesOf(this.fields, this.written.value);
      return Object.keys(problems).length === 0 ? values : null;
    }
    const { value } = readJson(this.text.value);
    if (this.text.value.trim() === "") return {};
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  }
}

/** A form with what is said to begin with; as JSON where fields cannot say all of that. */
export function useForm(fields: readonly SchemaField[], initial: Record<string, unknown> = {}): FormState {
  const begun = writtenOf(fields, initial);
  const written = useSignal<Written>(begun.written);
  const text = useSignal(begun.isWhole ? null : JSON.stringify(initial, null, 2));
  return new FormState(fields, written, text);
}

interface Props {
  form: FormState;
  legend: string;
  /** What the server found wrong, by field. */
  faults?: Record<string, string>;
  /** Texts that are offered, by field. */
  suggestions?: Record<string, readonly string[]>;
}

export function SchemaForm({ form, legend, faults = {}, suggestions = {} }: Props) {
  const { fields, written, text } = form;
  const { problems } = valuesOf(fields, written.value);
  const asJson = () => {
    text.value = JSON.stringify(form.values ?? {}, null, 2);
  };
  const asFields = () => {
    const { written: again, isWhole } = writtenOf(fields, form.values ?? {});
    if (!isWhole) return; // fields could not say all of it
    written.value = again;
    text.value = null;
  };
  if (text.value !== null) {
    const canGoBack = fields.length > 0 && form.values !== null && writtenOf(fields, form.values).isWhole;
    return (
      <fieldset class="schema-form">
        <legend>{legend}</legend>
        <textarea
          rows={8}
          aria-label={`${legend}, as JSON`}
          aria-invalid={form.values === null}
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
        {form.values === null && <p class="hint wrong">This is no JSON object.</p>}
        {Object.values(faults).map((words) => (
          <p key={words} class="hint wrong">
            {words}
          </p>
        ))}
        <button type="button" class="link" onClick={asFields} disabled={!canGoBack}>
          Write it in fields
        </button>
      </fieldset>
    );
  }
  return (
    <fieldset class="schema-form">
      <legend>{legend}</legend>
      {fields.map((field) => (
        <Field
          key={field.name}
          field={field}
          text={written.value[field.name] ?? ""}
          wrong={problems[field.name] ?? faults[field.name] ?? null}
          suggestions={suggestions[field.name] ?? []}
          onWrite={(value) => (written.value = { ...written.value, [field.name]: value })}
        />
      ))}
      <button type="button" class="link" onClick={asJson}>
        Write it as JSON
      </button>
    </fieldset>
  );
}

interface FieldProps {
  field: SchemaField;
  text: string;
  wrong: string | null;
  suggestions: readonly string[];
  onWrite: (text: string) => void;
}

function Field({ field, text, wrong, suggestions, onWrite }: FieldProps) {
  const id = `field-${field.name}`;
  const hint = hintOf(field);
  return (
    <div class="field">
      <label for={id}>
        <bdi>{field.title}</bdi>
        {field.isRequired && <span class="muted"> · required</span>}
      </label>
      <Control
        field={field}
        id={id}
        text={text}
        isWrong={wrong !== null}
        suggestions={suggestions}
        onWrite={onWrite}
      />
      {suggestions.length > 0 && (
        <datalist id={`${id}-list`}>
          {suggestions.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      )}
      <p class="hint" id={`${id}-hint`}>
        {wrong !== null && <span class="wrong">{wrong} </span>}
        {hint}
      </p>
    </div>
  );
}

function Control(props: Omit<FieldProps, "wrong"> & { id: string; isWrong: boolean }) {
  const { field, id, text, isWrong, suggestions, onWrite } = props;
  const shared = { id, "aria-describedby": `${id}-hint`, "aria-invalid": isWrong };
  const none = field.fallback === undefined ? "" : wordOf(field.fallback);
  if (field.kind === "choice") {
    return (
      <select {...shared} value={text} onChange={(event) => onWrite(event.currentTarget.value)}>
        <option value="">{none === "" ? "–" : `${none} (default)`}</option>
        {field.choices.map(([, word], index) => (
          <option key={word} value={String(index)}>
            {word}
          </option>
        ))}
      </select>
    );
  }
  if (field.kind === "json") {
    return (
      <textarea
        {...shared}
        rows={none.length > 60 ? 3 : 1}
        placeholder={none === "" ? "JSON" : none}
        value={text}
        onInput={(event) => onWrite(event.currentTarget.value)}
      />
    );
  }
  const write = (event: { currentTarget: HTMLInputElement }) => onWrite(event.currentTarget.value);
  if (field.format === "date") return <input {...shared} type="date" value={text} onInput={write} />;
  return (
    <input
      {...shared}
      inputMode={field.kind === "number" ? "decimal" : "text"}
      placeholder={field.kind === "secret" ? "NAME_OF_A_SECRET" : none}
      autocomplete="off"
      type="text"
      list={suggestions.length > 0 ? `${id}-list` : undefined}
      value={text}
      onInput={write}
    />
  );
}

function hintOf(field: SchemaField): string {
  const parts: string[] = [];
  if (field.description !== "") parts.push(field.description);
  if (field.kind === "secret") parts.push("The name of a secret; its value stays with the workers.");
  if (field.format === "date" && field.fallback !== undefined)
    parts.push(`Default ${wordOf(field.fallback)}.`);
  return parts.join(" ");
}
