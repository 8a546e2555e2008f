// Writes a hook: what it tells of, whom, and how.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { act, type Fault, Problem } from "../lib/api.ts";
import { pathTo } from "../lib/paths.ts";
import { faultsByField, fieldsOf } from "../schema/schema-fields.ts";
import { SchemaForm, useForm } from "../schema/schema-form.tsx";
import { AskDialog } from "../ui/ask-dialog.tsx";
import { TextField } from "../ui/text-field.tsx";
import { definitionOf, type HookView } from "./hook-types.ts";

const OCCASIONS = [
  "flow.failed",
  "flow.finished",
  "flow.cancelled",
  "flow.late",
  "slot.missed",
  "approval.asked",
  "approval.reminder",
  "approval.escalated",
];

const FIELDS = fieldsOf({
  required: ["kind", "target"],
  properties: {
    kind: { enum: ["webhook", "command", "python"], title: "How" },
    target: {
      type: "string",
      title: "Whom",
      description: "The URL of a webhook; the name of a command or function.",
    },
    taskId: { type: "string", title: "Workflow", description: "Only of its flows; none: of all." },
    secret: { type: "string", title: "Secret", "x-flower-secret": true, description: "Signs a webhook." },
    lateAfterSeconds: { type: "number", title: "Late after so many seconds", description: "For flow.late." },
  },
});

interface Props {
  /** What is to be changed; null: a new one. */
  hook: HookView | null;
  onClose: () => void;
  onDone: (name: string) => void;
}

export function HookDialog({ hook, onClose, onDone }: Props) {
  const name = useSignal(hook?.hook ?? "");
  const begun = useMemo(() => {
    const { occasions: _, ...said } = hook === null ? { occasions: null } : definitionOf(hook);
    return said;
  }, [hook]);
  const form = useForm(FIELDS, begun);
  const occasions = useSignal<string[]>(hook?.occasions ?? ["flow.failed"]);
  const faults = useSignal<Fault[]>([]);
  const { byField, others } = faultsByField(faults.value, FIELDS, "");
  const run = async () => {
    faults.value = [];
    try {
      await act(pathTo("hooks", name.value), { ...form.values, occasions: occasions.value }, "PUT");
    } catch (error) {
      if (error instanceof Problem) faults.value = error.faults;
      throw error;
    }
    onDone(name.value);
  };
  const turn = (one: string) => {
    const isOn = occasions.value.includes(one);
    occasions.value = isOn ? occasions.value.filter((each) => each !== one) : [...occasions.value, one];
  };
  return (
    <AskDialog
      title={hook === null ? "New hook" : `Hook ${hook.hook}`}
      verb={hook === null ? "Add" : "Save"}
      isReady={name.value !== "" && form.values !== null && occasions.value.length > 0}
      run={run}
      onClose={onClose}
    >
      {hook === null && (
        <div class="fields">
          <TextField label="Name" text={name} placeholder="ops" />
        </div>
      )}
      <fieldset class="schema-form checks">
        <legend>Tells of</legend>
        {OCCASIONS.map((one) => (
          <label key={one} class="check">
            <input type="checkbox" checked={occasions.value.includes(one)} onChange={() => turn(one)} />
            <span>{one}</span>
          </label>
        ))}
      </fieldset>
      <SchemaForm form={form} legend="Whom, and how" faults={byField} />
      {others.map((words) => (
        <p key={words} class="hint wrong">
          {words}
        </p>
      ))}
    </AskDialog>
  );
}
