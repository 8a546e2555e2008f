// Writes a schedule, beside the slots that it would have; nothing is in use before it is saved.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { wordsOf } from "../lib/answers.ts";
import { act, type Fault, Problem } from "../lib/api.ts";
import { pathTo } from "../lib/paths.ts";
import { faultsByField } from "../schema/schema-fields.ts";
import { SchemaForm, useForm } from "../schema/schema-form.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import { PreviewList } from "./preview-list.tsx";
import { fieldsOfSchedule } from "./schedule-fields.ts";
import type { Preview, ScheduleView } from "./schedule-types.ts";
import { HERE } from "./schedule-words.ts";

const SETTLE_MS = 300;
const SLOTS = 10;

interface Props {
  /** What is to be changed; null: a new one. */
  standing: ScheduleView | null;
  workflows: readonly string[];
  onDone: (saved: ScheduleView) => void;
}

export function ScheduleEditor({ standing, workflows, onDone }: Props) {
  const fields = useMemo(() => fieldsOfSchedule(standing === null), [standing === null]);
  const form = useForm(
    fields,
    useMemo(() => (standing === null ? {} : saidOf(standing)), [standing]),
  );
  const faults = useSignal<Fault[]>([]);
  const problem = useSignal<string | null>(null);
  const isUnderWay = useSignal(false);
  const isSent = useSignal(false);
  const preview = usePreview(form.values);
  const shownFaults = isSent.value ? faults.value : preview.faults;
  const { byField, others } = faultsByField(shownFaults, fields, "");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const values = form.values;
    if (values === null || isUnderWay.value) return;
    isUnderWay.value = true;
    problem.value = null;
    faults.value = [];
    try {
      const saved =
        standing === null
          ? await act<ScheduleView>("schedules", values)
          : await act<ScheduleView>(
              pathTo("schedules", standing.schedule),
              { ...values, version: standing.version },
              "PUT",
            );
      onDone(saved);
    } catch (error) {
      isSent.value = true;
      if (error instanceof Problem && error.faults.length > 0) faults.value = error.faults;
      else problem.value = wordsOf(error);
    }
    isUnderWay.value = false;
  };
  return (
    <div class="editor">
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="scroll" role="region" aria-label="Definition" tabIndex={0}>
        <form
          class="register"
          onSubmit={submit}
          onInput={() => (isSent.value = false)}
          noValidate
          autocomplete="off"
        >
          <SchemaForm
            form={form}
            legend="Definition"
            faults={byField}
            suggestions={{ taskId: workflows, timezone: ZONES }}
          />
          {isSent.value && others.map((words) => <ProblemLine key={words} words={words} />)}
          <ProblemLine words={problem.value} />
          <div class="choices">
            <button type="submit" class="strong" disabled={form.values === null || isUnderWay.value}>
              {standing === null ? "Add the schedule" : "Save the schedule"}
            </button>
          </div>
        </form>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="beside" role="region" aria-label="Its next slots" tabIndex={0}>
        <h2>Its next slots</h2>
        {preview.value !== null && <PreviewList preview={preview.value} />}
        {preview.value === null && (
          <p class="muted">
            {others[0] ?? preview.problem ?? "They are shown as soon as it says of which workflow, and when."}
          </p>
        )}
      </div>
    </div>
  );
}

const ZONES = Intl.supportedValuesOf("timeZone");

interface Previewed {
  value: Preview | null;
  faults: Fault[];
  problem: string | null;
}

/** The slots of what is written so far, once nobody has written for a moment. */
function usePreview(values: Record<string, unknown> | null): Previewed {
  const told = useSignal<Previewed>({ value: null, faults: [], problem: null });
  const { schedule: _, ...definition } = values ?? {};
  const sent = JSON.stringify(values === null ? null : definition);
  useEffect(() => {
    const { cron, everySeconds, at } = definition;
    if (values === null || (cron === undefined && everySeconds === undefined && at === undefined)) {
      told.value = { value: null, faults: [], problem: null };
      return;
    }
    let isOver = false;
    const ask = async () => {
      const path = `schedule-preview?count=${SLOTS}&otherTimezone=${encodeURIComponent(HERE)}`;
      const body = { ...definition, taskId: definition.taskId ?? "preview" };
      let next: Previewed;
      try {
        next = { value: await act<Preview>(path, body), faults: [], problem: null };
      } catch (error) {
        const faults = error instanceof Problem ? error.faults : [];
        next = { value: null, faults, problem: wordsOf(error) };
      }
      if (!isOver) told.value = next;
    };
    const timer = setTimeout(ask, SETTLE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [sent]);
  return told.value;
}

/** What the definition says beyond its name, without what it leaves open. */
function saidOf({ definition }: ScheduleView): Record<string, unknown> {
  const { schedule: _, ...said } = definition;
  return Object.fromEntries(
    Object.entries(said).filter(([, value]) => value !== null && value !== undefined && !isEmpty(value)),
  );
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
