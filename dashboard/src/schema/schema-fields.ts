// The fields that a form has for a JSON Schema of an object, and what is written in them as JSON.
import type { Fault } from "../lib/api.ts";
import { readJson } from "../ui/json-field.tsx";

export type Schema = Record<string, unknown>;

export type FieldKind = "text" | "number" | "choice" | "json" | "secret";

export interface SchemaField {
  name: string;
  kind: FieldKind;
  title: string;
  description: string;
  isRequired: boolean;
  /** What is so where nothing is written; undefined: nothing is. */
  fallback: unknown;
  /** Of a choice: values, and how they are called. */
  choices: [unknown, string][];
  /** "date", "email", ...; "" where a text may be anything. */
  format: string;
}

/** By name of the field: what is written in it, for a choice the number of what is chosen. */
export type Written = Record<string, string>;

/** Those that must be written come first. */
export function fieldsOf(schema: Schema): SchemaField[] {
  const whole = resolved(schema, schema);
  const required = new Set(Array.isArray(whole.required) ? whole.required : []);
  const properties = (whole.properties ?? {}) as Record<string, unknown>;
  const fields = Object.entries(properties).map(([name, part]): SchemaField => {
    const one = resolved(part, schema);
    const kind = kindOf(one);
    const choices = kind === "choice" ? choicesOf(one) : [];
    return {
      name,
      kind,
      title: typeof one.title === "string" ? one.title : name,
      description: typeof one.description === "string" ? one.description : "",
      isRequired: required.has(name) && one.default === undefined,
      fallback: one.default,
      choices,
      format: typeof one.format === "string" ? one.format : "",
    };
  });
  return fields.sort((a, b) => Number(b.isRequired) - Number(a.isRequired));
}

/** What the fields say, and what of it cannot be read, by name. */
export function valuesOf(
  fields: readonly SchemaField[],
  written: Written,
): { values: Record<string, unknown>; problems: Record<string, string> } {
  const values: Record<string, unknown> = {};
  const problems: Record<string, string> = {};
  for (const field of fields) {
    const text = written[field.name] ?? "";
    if (text === "") continue;
    if (field.kind === "choice") values[field.name] = field.choices[Number(text)]?.[0];
    else if (field.kind === "text" || field.kind === "secret") values[field.name] = text;
    else {
      const { value, problem } = readJson(text);
      const isWrong = field.kind === "number" && typeof value !== "number";
      if (problem !== null || isWrong) {
        problems[field.name] = field.kind === "number" ? "This is no number." : (problem ?? "");
      } else if (value !== undefined) values[field.name] = value;
    }
  }
  return { values, problems };
}

/** The same values written into fields; what no field takes is left over. */
export function writtenOf(
  fields: readonly SchemaField[],
  values: Record<string, unknown>,
): { written: Written; isWhole: boolean } {
  const written: Written = {};
  let isWhole = true;
  const byName = new Map(fields.map((field) => [field.name, field]));
  for (const [name, value] of Object.entries(values)) {
    const field = byName.get(name);
    if (field === undefined) {
      isWhole = false;
      continue;
    }
    const text = JSON.stringify(value);
    if (field.kind === "choice") {
      const at = field.choices.findIndex(([one]) => JSON.stringify(one) === text);
      if (at >= 0) written[name] = String(at);
      else isWhole = false;
    } else if (field.kind === "text" || field.kind === "secret") {
      if (typeof value === "string" && value !== "") written[name] = value;
      else isWhole = false;
    } else written[name] = text;
  }
  return { written, isWhole };
}

/** What the server found wrong, by field; and what is about none of them. `at`: where the fields are in what
    was sent, as "/parameters". */
export function faultsByField(
  faults: readonly Fault[],
  fields: readonly SchemaField[],
  at: string,
): { byField: Record<string, string>; others: string[] } {
  const names = new Set(fields.map(({ name }) => name));
  const byField: Record<string, string> = {};
  const others: string[] = [];
  for (const { detail, pointer } of faults) {
    const place = (pointer ?? "").replace(/^#/, "");
    const inside = place.startsWith(`${at}/`) ? place.slice(at.length + 1).split("/")[0] : undefined;
    const name = inside?.replaceAll("~1", "/").replaceAll("~0", "~");
    const meant = name !== undefined && names.has(name) ? name : namedIn(detail, names);
    if (meant === undefined) others.push(detail);
    else byField[meant] = byField[meant] === undefined ? detail : `${byField[meant]} ${detail}`;
  }
  return { byField, others };
}

/** Of a fault that is about the object as a whole (one is missing): the field that its sentence begins with. */
function namedIn(detail: string, names: ReadonlySet<string>): string | undefined {
  const said = /^'([^']+)'/.exec(detail)?.[1];
  return said !== undefined && names.has(said) ? said : undefined;
}

function kindOf(one: Schema): FieldKind {
  if (one["x-flower-secret"] === true) return "secret";
  if (Array.isArray(one.enum) || one.const !== undefined || one.type === "boolean") return "choice";
  if (one.type === "string") return "text";
  if (one.type === "number" || one.type === "integer") return "number";
  return "json";
}

function choicesOf(one: Schema): [unknown, string][] {
  if (Array.isArray(one.enum)) return one.enum.map((value) => [value, wordOf(value)]);
  if (one.const !== undefined) return [[one.const, wordOf(one.const)]];
  return [
    [true, "yes"],
    [false, "no"],
  ];
}

export function wordOf(value: unknown): string {
  if (value === true) return "yes";
  if (value === false) return "no";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A part with what it refers to; of one that may be null, the rest. */
function resolved(part: unknown, whole: Schema, depth = 0): Schema {
  if (typeof part !== "object" || part === null) return {};
  const one = part as Schema;
  if (typeof one.$ref === "string" && depth < 20) {
    const { $ref, ...beside } = one;
    return { ...resolved(partAt(whole, String($ref)), whole, depth + 1), ...beside };
  }
  const either = one.anyOf ?? one.oneOf;
  if (Array.isArray(either)) {
    const left = either.filter((each) => (each as Schema)?.type !== "null");
    if (left.length === 1 && depth < 20) {
      const { anyOf: _any, oneOf: _one, ...beside } = one;
      return { ...resolved(left[0], whole, depth + 1), ...beside };
    }
  }
  if (Array.isArray(one.type)) {
    const left = one.type.filter((each) => each !== "null");
    if (left.length === 1) return { ...one, type: left[0] };
  }
  return one;
}

function partAt(whole: Schema, ref: string): unknown {
  let found: unknown = whole;
  for (const step of ref.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    const name = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
    found = (found as Record<string, unknown> | undefined)?.[name];
  }
  return found;
}
