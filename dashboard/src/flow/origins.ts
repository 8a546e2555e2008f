// Where the value of a parameter comes from: the definition, the flow's own parameters, a result, or somebody.
import { ask } from "../lib/api.ts";
import type { FlowPlan, TaskDetail } from "../lib/types.ts";

export interface Origin {
  words: string;
  /** Names or taskSeqs of the tasks whose results are in it. */
  results: string[];
}

type Parameters = Record<string, unknown>;

interface Defined {
  taskSeq: number;
  parameters?: Parameters;
}

const known = new Map<string, Promise<Map<number, Parameters>>>();

/** The parameters that a version of a workflow defines, by taskSeq; asked once. */
function definedIn(workflow: string, version: string): Promise<Map<number, Parameters>> {
  const path = workflow.split("/").map(encodeURIComponent).join("/");
  const key = `workflows/${path}/versions/${version}`;
  let found = known.get(key);
  if (found === undefined) {
    found = ask<{ definition: { tasks: Defined[] } }>(key).then(
      ({ definition }) => new Map(definition.tasks.map((one) => [one.taskSeq, one.parameters ?? {}])),
    );
    found.catch(() => known.delete(key));
    known.set(key, found);
  }
  return found;
}

/** By name of the parameter; nothing where the flow's definition is not known. */
export async function originsOf(plan: FlowPlan, detail: TaskDetail): Promise<Map<string, Origin>> {
  const version = detail.workflowVersion ?? plan.workflowVersion;
  const given = (detail.parameters ?? {}) as Parameters;
  if (version === null || Object.keys(given).length === 0) return new Map();
  const defined = (await definedIn(plan.taskId, version)).get(detail.taskSeq);
  if (defined === undefined) return new Map();
  return new Map(Object.entries(given).map(([name, value]) => [name, originOf(value, defined[name])]));
}

function originOf(value: unknown, defined: unknown): Origin {
  const results = [...namesIn(value, "$from")];
  const secrets = [...namesIn(value, "$secret")];
  if (results.length > 0) return { words: "result of", results };
  if (secrets.length > 0) return { words: `secret ${secrets.join(", ")}`, results };
  if (JSON.stringify(value) === JSON.stringify(defined)) return { words: "definition", results };
  const params = [...namesIn(defined, "$param")];
  if (params.length > 0) return { words: `flow's parameter ${params.join(", ")}`, results };
  return { words: "given to this flow", results };
}

/** What objects with a key like ``$from`` name, wherever in a value they stand. */
function* namesIn(value: unknown, key: string): Generator<string> {
  if (value === null || typeof value !== "object") return;
  if (!Array.isArray(value) && "$literal" in value) return;
  const name = (value as Record<string, unknown>)[key];
  if (typeof name === "string" || typeof name === "number") yield String(name);
  for (const one of Object.values(value)) yield* namesIn(one, key);
}
