// Starts a flow: a form made from the schema of the parameters; what the server finds wrong stands beside its field.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { wordsOf } from "../lib/answers.ts";
import { act, type Fault, Problem } from "../lib/api.ts";
import { pathTo } from "../lib/paths.ts";
import { go } from "../lib/route.ts";
import { faultsByField, fieldsOf, type Schema } from "../schema/schema-fields.ts";
import { SchemaForm, useForm } from "../schema/schema-form.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import type { VersionDetail, WorkflowDocument } from "./workflow-types.ts";

interface Registered {
  taskFlowId: string;
}

export function RegisterForm({ name, version }: { name: string; version: VersionDetail }) {
  const schema = version.definition.parametersSchema ?? null;
  const fields = useMemo(
    () => fieldsOf(schema ?? schemaOfTasks(version.definition)),
    [schema, version.definition],
  );
  const form = useForm(fields);
  const priority = useSignal("");
  const delay = useSignal("");
  const key = useSignal("");
  const faults = useSignal<Fault[]>([]);
  const problem = useSignal<string | null>(null);
  const isUnderWay = useSignal(false);
  const { byField, others } = faultsByField(faults.value, fields, "/parameters");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const parameters = form.values;
    if (parameters === null || isUnderWay.value) return;
    isUnderWay.value = true;
    faults.value = [];
    problem.value = null;
    try {
      const flow = await act<Registered>(pathTo("register", name), {
        parameters,
        ...(version.isNewest ? {} : { workflowVersion: version.number }),
        ...(priority.value !== "" && { priority: Number(priority.value) }),
        ...(delay.value !== "" && { delaySeconds: Number(delay.value) }),
        ...(key.value !== "" && { key: key.value }),
      });
      go(["flows", flow.taskFlowId]);
    } catch (error) {
      if (error instanceof Problem && error.faults.length > 0) faults.value = error.faults;
      else problem.value = wordsOf(error);
    }
    isUnderWay.value = false;
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: it scrolls
    <div class="scroll" role="region" aria-label="Register a flow" tabIndex={0}>
      <form class="register" onSubmit={submit} noValidate>
        {fields.length === 0 && form.text.value === null ? (
          <p class="muted">
            This workflow takes no parameters.{" "}
            <button type="button" class="link" onClick={() => (form.text.value = "{}")}>
              Give some all the same
            </button>
          </p>
        ) : (
          <SchemaForm
            form={form}
            legend={schema === null ? "Parameters of its tasks" : "Parameters"}
            faults={byField}
          />
        )}
        <details>
          <summary>When, how urgent, and once only</summary>
          <div class="fields">
            <label>
              <span>Starts in so many seconds</span>
              <input
                inputMode="decimal"
                placeholder="at once"
                value={delay.value}
                onInput={(event) => (delay.value = event.currentTarget.value)}
              />
            </label>
            <label>
              <span>Priority, −20 (first) to 19</span>
              <input
                type="number"
                min={-20}
                max={19}
                placeholder="as defined"
                value={priority.value}
                onInput={(event) => (priority.value = event.currentTarget.value)}
              />
            </label>
            <label>
              <span>Key: the same key gives the same flow</span>
              <input
                placeholder="none"
                value={key.value}
                onInput={(event) => (key.value = event.currentTarget.value)}
              />
            </label>
          </div>
        </details>
        {others.map((words) => (
          <ProblemLine key={words} words={words} />
        ))}
        <ProblemLine words={problem.value} />
        <div class="choices">
          <button type="submit" class="strong" disabled={form.values === null || isUnderWay.value}>
            Register{version.isNewest ? "" : ` version ${version.number}`}
          </button>
        </div>
      </form>
    </div>
  );
}

/** Without a schema: what tasks are given as plain values, which a flow may replace by name. */
function schemaOfTasks({ tasks }: WorkflowDocument): Schema {
  const properties: Record<string, Schema> = {};
  for (const { parameters = {} } of tasks) {
    for (const [name, value] of Object.entries(parameters)) {
      if (isReference(value) || name in properties) continue;
      const type = typeof value;
      properties[name] = {
        default: value,
        ...((type === "string" || type === "number" || type === "boolean") && { type }),
      };
    }
  }
  return { type: "object", properties };
}

function isReference(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).some((key) => key.startsWith("$"));
}
