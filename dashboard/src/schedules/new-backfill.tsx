// Asks for a backfill, with the slots that it would be about as the server says them.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { wordsOf } from "../lib/answers.ts";
import { act } from "../lib/api.ts";
import { counted } from "../lib/counts.ts";
import { moment } from "../lib/times.ts";
import { AskDialog } from "../ui/ask-dialog.tsx";
import { TextField } from "../ui/text-field.tsx";
import type { Backfill } from "./schedule-types.ts";

const SETTLE_MS = 300;
const DAY_MS = 86_400_000;

interface Props {
  path: string;
  onClose: () => void;
  onDone: (made: Backfill) => void;
}

export function NewBackfill({ path, onClose, onDone }: Props) {
  const from = useSignal(localText(Date.now() - 7 * DAY_MS));
  const to = useSignal(localText(Date.now()));
  const which = useSignal("missed");
  const most = useSignal("1");
  const isNewestFirst = useSignal(false);
  const reason = useSignal("");
  const told = useSignal<Backfill | null>(null);
  const problem = useSignal<string | null>(null);
  const first = Date.parse(from.value);
  const last = Date.parse(to.value);
  const isReadable = !Number.isNaN(first) && !Number.isNaN(last) && Number(most.value) >= 1;
  const body = isReadable && {
    from: new Date(first).toISOString(),
    to: new Date(last).toISOString(),
    which: which.value,
    newestFirst: isNewestFirst.value,
    mostAtOnce: Number(most.value),
    reason: reason.value,
  };
  const asked = JSON.stringify(body && { ...body, reason: "" });
  useEffect(() => {
    told.value = null;
    problem.value = null;
    if (!body) return;
    const timer = setTimeout(() => {
      act<Backfill>(path, { ...body, dryRun: true }).then(
        (answer) => (told.value = answer),
        (error: unknown) => (problem.value = wordsOf(error)),
      );
    }, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [path, asked]);
  const run = async () => onDone(await act<Backfill>(path, body));
  return (
    <AskDialog
      title="Backfill"
      verb={told.value === null ? "Start" : `Start ${counted(told.value.total, "slot")}`}
      isReady={told.value !== null && told.value.total > 0}
      run={run}
      onClose={onClose}
    >
      <div class="fields">
        <TextField label="Slots from (your time)" text={from} type="datetime-local" />
        <TextField label="up to" text={to} type="datetime-local" />
        <label>
          <span>Which of them</span>
          <select value={which.value} onChange={(event) => (which.value = event.currentTarget.value)}>
            <option value="missed">those without a flow</option>
            <option value="failed">those whose flow failed</option>
            <option value="all">all</option>
          </select>
        </label>
        <TextField label="Flows at once" text={most} type="number" />
        <label class="check">
          <input
            type="checkbox"
            checked={isNewestFirst.value}
            onChange={(event) => (isNewestFirst.value = event.currentTarget.checked)}
          />
          <span>the newest first</span>
        </label>
        <TextField label="Why" text={reason} />
      </div>
      <div role="status">
        {problem.value !== null && <p class="problem">{problem.value}</p>}
        {told.value !== null && <Told backfill={told.value} />}
        {told.value === null && problem.value === null && body && (
          <p class="muted">Asking which slots these are…</p>
        )}
      </div>
    </AskDialog>
  );
}

function Told({ backfill }: { backfill: Backfill }) {
  const slots = backfill.slots ?? [];
  const reruns = slots.filter(({ action }) => action === "rerun").length;
  const [first, last] = [slots[0], slots.at(-1)];
  if (backfill.total === 0 || first === undefined || last === undefined) {
    return <p class="muted">There is no such slot.</p>;
  }
  return (
    <p>
      {counted(backfill.total, "slot")}, {moment(Date.parse(first.slot))} to {moment(Date.parse(last.slot))}:{" "}
      {slots.length - reruns > 0 && `${slots.length - reruns} get a flow`}
      {slots.length - reruns > 0 && reruns > 0 && ", "}
      {reruns > 0 && `the flow of ${reruns} runs again`}.
    </p>
  );
}

/** A moment as inputs of this kind want it, on the clock of whoever looks. */
function localText(ms: number): string {
  const shifted = new Date(ms - 60_000 * new Date(ms).getTimezoneOffset());
  return shifted.toISOString().slice(0, 19);
}
