// Sets all that holds for one scope and name; what the server finds wrong stands beside its field.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { act, type Fault, Problem } from "../lib/api.ts";
import { pathTo } from "../lib/paths.ts";
import { faultsByField, fieldsOf, type Schema } from "../schema/schema-fields.ts";
import { SchemaForm, useForm } from "../schema/schema-form.tsx";
import { AskDialog } from "../ui/ask-dialog.tsx";
import { TextField } from "../ui/text-field.tsx";
import { type LimitView, settingsOf } from "./limit-types.ts";

type Target = Pick<LimitView, "scope" | "name">;

const SCOPES = ["global", "queue", "workflow", "program"] as const;
const number = (title: string, description = ""): Schema => ({ type: "number", title, description });
const text = (title: string): Schema => ({ type: "string", title });

const FIELDS = fieldsOf({
  properties: {
    isPaused: { type: "boolean", title: "Paused", default: false },
    reason: text("Why"),
    maxRunning: number("Units of tasks at once"),
    rate: number("Starts of tasks in any period"),
    ratePeriodSeconds: { ...number("The period, in seconds"), default: 1 },
    limitBy: text("Parameter whose values are limited"),
    maxPerKey: number("Units at once for each of its values"),
    maxFlows: number("Flows under way at once", "Of a workflow."),
    atMaxFlows: {
      enum: ["queue", "reject", "cancel_oldest", "skip"],
      default: "queue",
      title: "Beyond that",
    },
    countSuspended: { type: "boolean", default: false, title: "Flows that cannot go on keep their place" },
    fairBy: text("Parameter whose values take turns"),
    weight: number("Share of the turns"),
  },
});

interface Props {
  /** What is to be changed; null: a new one. */
  limit: LimitView | null;
  begin: { scope: string; name: string };
  before: (target: Target) => LimitView | null;
  onClose: () => void;
  /** `before`: what held; null: nothing did. */
  onDone: (target: Target, before: LimitView | null) => void;
}

export function LimitDialog({ limit, begin, before, onClose, onDone }: Props) {
  const scope = useSignal<string>(limit?.scope ?? begin.scope);
  const name = useSignal(limit?.name ?? begin.name);
  const form = useForm(
    FIELDS,
    useMemo(() => (limit === null ? {} : said(limit)), [limit]),
  );
  const faults = useSignal<Fault[]>([]);
  const { byField, others } = faultsByField(faults.value, FIELDS, "");
  const isGlobal = scope.value === "global";
  const run = async () => {
    const target = { scope: scope.value, name: isGlobal ? "" : name.value } as Target;
    const stood = before(target);
    faults.value = [];
    try {
      await act(isGlobal ? "limits/global" : pathTo("limits", target.scope, target.name), form.values, "PUT");
    } catch (error) {
      if (error instanceof Problem) faults.value = error.faults;
      throw error;
    }
    onDone(target, stood);
  };
  return (
    <AskDialog
      title={limit === null ? "New limit or pause" : `Limit of ${limit.scope} ${limit.name}`}
      verb="Set"
      isReady={form.values !== null && (isGlobal || name.value !== "")}
      run={run}
      onClose={onClose}
    >
      {limit === null && (
        <div class="fields">
          <label>
            <span>Of what</span>
            <select value={scope.value} onChange={(event) => (scope.value = event.currentTarget.value)}>
              {SCOPES.map((one) => (
                <option key={one} value={one}>
                  {one === "global" ? "everything" : one}
                </option>
              ))}
            </select>
          </label>
          {!isGlobal && <TextField label="Its name" text={name} />}
        </div>
      )}
      <SchemaForm form={form} legend="What holds" faults={byField} />
      {others.map((words) => (
        <p key={words} class="hint wrong">
          {words}
        </p>
      ))}
    </AskDialog>
  );
}

/** Its settings, without what is so anyway. */
function said(limit: LimitView): Record<string, unknown> {
  const fallbacks = new Map(FIELDS.map(({ name, fallback }) => [name, fallback]));
  return Object.fromEntries(
    Object.entries(settingsOf(limit)).filter(([name, value]) => fallbacks.get(name) !== value),
  );
}
