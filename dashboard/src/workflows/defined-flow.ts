// A definition as the graph shows it: tasks in the order of their taskSeqs, none of which has begun.
import { fixed, ShownFlow } from "../flow/shown-flow.ts";
import type { FlowPlan, FlowRow, Layout } from "../lib/types.ts";
import type { TaskDocument, VersionDetail } from "./workflow-types.ts";

export class DefinedFlow extends ShownFlow {
  readonly id: string;
  readonly frame = fixed(1);
  readonly plan = fixed<FlowPlan | null>(null);
  readonly flow = fixed<FlowRow | null>(null);
  readonly problem = fixed<string | null>(null);
  readonly layout;
  readonly rows: undefined[];
  readonly tasks: TaskDocument[];

  constructor(version: VersionDetail) {
    super();
    this.id = version.hash;
    this.layout = fixed<Layout | null>(version.layout ?? null);
    this.tasks = [...version.definition.tasks].sort((a, b) => a.taskSeq - b.taskSeq);
    this.rows = new Array(this.tasks.length + 1).fill(undefined);
  }

  override name(task: number): string {
    const found = this.tasks[task - 1];
    return found?.taskName ?? found?.program ?? String(task);
  }
}
