// Reruns or ignores all tasks that failed alike, and no others of their flows.
import { BulkDialog } from "../bulk/bulk-dialog.tsx";
import { counted } from "../lib/counts.ts";
import type { ErrorGroup } from "../lib/types.ts";

interface Props {
  group: ErrorGroup;
  operation: "rerun" | "ignore";
  onClose: () => void;
  onDone: (words: string, undo: (() => Promise<string>) | null) => void;
}

export function FaultDialog({ group, operation, onClose, onDone }: Props) {
  const { program, type, shape } = group;
  const verb = operation === "rerun" ? "Rerun" : "Ignore";
  return (
    <BulkDialog
      operation={operation}
      filter={{ fault: { program, type, shape } }}
      title={(told) => `${verb} ${counted(told?.tasks ?? group.tasks, "failed task")}`}
      nothing="No task stands failed like that any more."
      onClose={onClose}
      onDone={onDone}
    >
      <p>
        <bdi>{type}</bdi> in <bdi>{program}</bdi>: <bdi class="muted">{shape}</bdi>
      </p>
    </BulkDialog>
  );
}
