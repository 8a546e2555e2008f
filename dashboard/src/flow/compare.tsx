// A flow beside another one, or beside itself at another moment: how each task stood, took, and what differs.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask, isAborted } from "../lib/api.ts";
import { shortId } from "../lib/paths.ts";
import { replaceQuery, route } from "../lib/route.ts";
import { STAGE_WORDS, type Stage } from "../lib/statuses.ts";
import { duration, moment } from "../lib/times.ts";
import type { FlowSummary, FlowsPage } from "../lib/types.ts";
import { useSeenRows } from "../ui/seen-rows.ts";
import { StatusMark } from "../ui/status-mark.tsx";
import { LiveFlow } from "./live-flow.ts";
import type { PastFlow } from "./past-flow.ts";
import type { ShownFlow } from "./shown-flow.ts";
import type { Timeline } from "./timeline.ts";

const ROW = 30;
const MOST_FLOWS = 30;

interface Props {
  live: LiveFlow;
  past: PastFlow | null;
  chosen: number | null;
  onChoose: (task: number) => void;
}

export function Compare({ live, past, chosen, onChoose }: Props) {
  const id = route.value.query.get("with");
  const other = useOther(live, id);
  useEffect(() => live.wantTimeline(), [live]);
  const shown = past ?? live;
  const isSelf = other === live;
  const plan = other.plan.value;
  void other.frame.value;
  void live.frame.value;
  return (
    <div class="compare">
      <div class="bar">
        <Picker live={live} chosen={id} isFailed={past === null && live.flow.value?.status === 2} />
        {past === null && isSelf && (
          <span class="muted">Choose a moment with the slider below, or another flow.</span>
        )}
      </div>
      {other.problem.value !== null && (
        <p class="problem" role="alert">
          {other.problem.value}
        </p>
      )}
      {plan !== null && live.timeline.value !== null && other.timeline.value !== null && (
        <Table
          one={shown}
          oneTimeline={live.timeline.value}
          other={other}
          otherTimeline={other.timeline.value}
          headings={[past === null ? "Now" : moment(past.ms), isSelf ? "Now" : moment(plan.registeredMs)]}
          chosen={chosen}
          onChoose={onChoose}
        />
      )}
    </div>
  );
}

/** The flow that is compared with; without one it is this flow as it stands now. */
function useOther(live: LiveFlow, id: string | null): LiveFlow {
  const opened = useSignal<LiveFlow>(live);
  useEffect(() => {
    if (id === null || id === live.id) {
      opened.value = live;
      return;
    }
    const other = new LiveFlow(id, { isMain: false });
    other.wantTimeline();
    opened.value = other;
    return () => other.close();
  }, [live, id, opened]);
  return opened.value;
}

interface PickerProps {
  live: LiveFlow;
  chosen: string | null;
  isFailed: boolean;
}

/** Of a flow that failed one asks first what is otherwise than when it worked: the last that finished is taken. */
function Picker({ live, chosen, isFailed }: PickerProps) {
  const flows = useSignal<FlowSummary[]>([]);
  const workflow = live.plan.value?.taskId ?? "";
  useEffect(() => {
    const ending = new AbortController();
    const query = new URLSearchParams({ taskId: workflow, limit: String(MOST_FLOWS) });
    ask<FlowsPage>(`flows?${query}`, ending.signal).then(
      (page) => (flows.value = page.flows),
      (error: unknown) => {
        if (!isAborted(error)) flows.value = [];
      },
    );
    return () => ending.abort();
  }, [workflow, flows]);
  const good = flows.value.find((one) => one.status === "Finish" && one.taskFlowId < live.id);
  useEffect(() => {
    if (isFailed && good !== undefined && !route.value.query.has("with")) {
      replaceQuery({ with: good.taskFlowId });
    }
  }, [isFailed, good?.taskFlowId]);
  const others = flows.value.filter(({ taskFlowId }) => taskFlowId !== live.id);
  const isKnown =
    chosen === null || chosen === live.id || others.some(({ taskFlowId }) => taskFlowId === chosen);
  return (
    <label>
      Compare with{" "}
      <select
        value={chosen === live.id ? "" : (chosen ?? "")}
        onChange={(event) => replaceQuery({ with: event.currentTarget.value || live.id })}
      >
        <option value="">this flow, now</option>
        {!isKnown && <option value={chosen ?? ""}>{shortId(chosen ?? "")}</option>}
        {others.map((flow) => (
          <option key={flow.taskFlowId} value={flow.taskFlowId}>
            {moment(Date.parse(flow.registeredTs))} · {shortId(flow.taskFlowId)} · {flow.status}
          </option>
        ))}
      </select>
    </label>
  );
}

interface Line {
  task: number;
  otherTask: number | null;
  stage: Stage;
  otherStage: Stage | null;
  ran: number | null;
  otherRan: number | null;
  differs: boolean;
}

interface TableProps {
  one: ShownFlow;
  oneTimeline: Timeline;
  other: ShownFlow;
  otherTimeline: Timeline;
  headings: [string, string];
  chosen: number | null;
  onChoose: (task: number) => void;
}

function Table({ one, oneTimeline, other, otherTimeline, headings, chosen, onChoose }: TableProps) {
  const place = useRef<HTMLDivElement>(null);
  const isDifferentOnly = route.value.query.get("only") === "different";
  const all = linesOf(one, oneTimeline, other, otherTimeline);
  const lines = isDifferentOnly ? all.filter((line) => line.differs) : all;
  const seen = useSeenRows(place, ROW, lines.length);
  const different = all.filter((line) => line.differs).length;
  return (
    <>
      <div class="compare-head">
        <span class="name">
          {different} of {all.length} tasks differ{" "}
          <button
            type="button"
            class="link"
            onClick={() => replaceQuery({ only: isDifferentOnly ? null : "different" })}
          >
            {isDifferentOnly ? "show all" : "show these only"}
          </button>
        </span>
        <span class="side">{headings[0]}</span>
        <span class="side">{headings[1]}</span>
        <span class="more-time">Longer by</span>
      </div>
      <section ref={place} class="task-list" tabIndex={0} aria-label="Tasks compared">
        <ul style={{ height: `${lines.length * ROW}px` }}>
          {lines.slice(seen.first, seen.last + 1).map((line, index) => (
            <li
              key={line.task}
              class={line.task === chosen ? "chosen" : undefined}
              style={{ top: `${(seen.first + index) * ROW}px` }}
            >
              <button type="button" onClick={() => onChoose(line.task)}>
                <bdi class={line.differs ? "name different" : "name"}>{one.name(line.task)}</bdi>
                <Side stage={line.stage} ran={line.ran} />
                <Side stage={line.otherStage} ran={line.otherRan} />
                <span class="more-time">{longer(line)}</span>
              </button>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function Side({ stage, ran }: { stage: Stage | null; ran: number | null }) {
  if (stage === null) return <span class="side muted">has no such task</span>;
  return (
    <span class="side">
      <StatusMark stage={stage} isNamed />
      <span class="side-word">{STAGE_WORDS[stage]}</span>
      <span class="muted">{ran === null ? "" : duration(ran)}</span>
    </span>
  );
}

const NOTABLE_MS = 5; // less is no difference that anybody looks for

function longer({ ran, otherRan }: Line): string {
  if (ran === null || otherRan === null || Math.abs(ran - otherRan) < NOTABLE_MS) return "";
  return ran > otherRan ? `+${duration(ran - otherRan)}` : `−${duration(otherRan - ran)}`;
}

function linesOf(one: ShownFlow, oneTimeline: Timeline, other: ShownFlow, otherTimeline: Timeline): Line[] {
  const byName = new Map<string, number>();
  const plan = other.plan.peek();
  plan?.names.forEach((name, index) => {
    if (name !== null) byName.set(name, index + 1);
  });
  const oneStep = one.at === null ? oneTimeline.steps : oneTimeline.stepAt(one.at);
  const lines: Line[] = [];
  for (let task = 1; task <= one.count; task += 1) {
    const name = one.plan.peek()?.names[task - 1] ?? null;
    const same = name === null ? task : byName.get(name);
    const otherTask = same !== undefined && same <= other.count ? same : null;
    const stage = one.stage(task);
    const otherStage = otherTask === null ? null : other.stage(otherTask);
    const ran = ranFor(oneTimeline, task, oneStep);
    const otherRan = otherTask === null ? null : ranFor(otherTimeline, otherTask, otherTimeline.steps);
    lines.push({ task, otherTask, stage, otherStage, ran, otherRan, differs: stage !== otherStage });
  }
  return lines;
}

/** For how long a task ran, in all of its attempts that have ended. */
function ranFor(timeline: Timeline, task: number, step: number): number | null {
  let sum = null as number | null;
  timeline.eachPart(
    task,
    (stage, from, until) => {
      if (stage === "running" && until !== null) sum = (sum ?? 0) + until - from;
    },
    step,
  );
  return sum;
}
