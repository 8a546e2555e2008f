// What can be done with the flows that are chosen; each is asked once, with what will become of them.
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { BulkDialog } from "../bulk/bulk-dialog.tsx";
import type { BulkFilter, BulkOperation } from "../bulk/bulk-types.ts";
import { counted } from "../lib/counts.ts";
import { bindKeys } from "../lib/keys.ts";
import type { SaidWords } from "../ui/said.tsx";
import type { FlowChoice } from "./flow-choice.ts";
import type { FlowList } from "./flow-list.ts";

const OPERATIONS: [BulkOperation, string, string, string][] = [
  ["rerun", "Rerun failed", "r", "Rerun what failed in"],
  ["ignore", "Ignore failed", "i", "Ignore what failed in"],
  ["pause", "Pause", "p", "Pause"],
  ["resume", "Resume", "u", "Resume"],
  ["priority", "Priority", "y", "Another priority for"],
  ["cancel", "Cancel", "c", "Cancel"],
];

/** What is asked about: the flows that were chosen then, whatever the list shows meanwhile. */
interface Asked {
  operation: BulkOperation;
  word: string;
  filter: BulkFilter;
  /** Null: nobody counted them yet. */
  flows: number | null;
}

interface Props {
  choice: FlowChoice;
  list: FlowList;
  /** The chosen ones that are shown. */
  chosen: string[];
  onSaid: (said: SaidWords) => void;
}

export function BulkBar({ choice, list, chosen, onSaid }: Props) {
  const asked = useSignal<Asked | null>(null);
  const ask = (operation: BulkOperation) => {
    const whole = choice.isWhole.value;
    const word = OPERATIONS.find(([name]) => name === operation)?.[3] ?? "";
    const filter = whole ? list.bulkFilter() : { taskFlowIds: chosen };
    isDone.current = false;
    asked.value = { operation, word, filter, flows: whole ? null : chosen.length };
  };
  const latest = useRef(ask);
  latest.current = ask;
  const isDone = useRef(false); // what became of it is shown until the dialog is closed
  const isWhole = choice.isWhole.value;
  useLayoutEffect(
    () =>
      bindKeys([
        ...OPERATIONS.map(([operation, word, keys]) => ({
          keys,
          what: `${word.toLowerCase()}, of the chosen flows`,
          run: () => {
            if (asked.value === null) latest.current(operation);
          },
        })),
        {
          keys: "Escape",
          what: "choose none",
          run: () => {
            if (asked.value === null) choice.clear();
            else asked.value = null;
          },
        },
      ]),
    [choice, asked],
  );
  const many = isWhole ? "All flows that match" : `${counted(chosen.length, "flow")} chosen`;
  const about = asked.value;
  return (
    <div class="bulk-bar" role="toolbar" aria-label="What to do with the chosen flows">
      <span role="status">{many}</span>
      {!isWhole && list.next.value !== null && (
        <button type="button" class="link" onClick={() => choice.chooseWhole()}>
          Choose all that match
        </button>
      )}
      {OPERATIONS.map(([name, word]) => (
        <button key={name} type="button" onClick={() => ask(name)}>
          {word}
        </button>
      ))}
      <button type="button" class="link" onClick={() => choice.clear()}>
        Choose none
      </button>
      {about !== null && (
        <BulkDialog
          operation={about.operation}
          filter={about.filter}
          title={(told) => {
            const flows = told?.matches ?? about.flows;
            return `${about.word} ${flows === null ? "all that match" : counted(flows, "flow")}`;
          }}
          nothing="None of these flows is there any more."
          onClose={() => {
            asked.value = null;
            if (isDone.current) choice.clear();
          }}
          onDone={(words, undo) => {
            isDone.current = true;
            onSaid({ words, undo });
          }}
        />
      )}
    </div>
  );
}
