// All flows, newest first; what is filtered is in the address.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { bindKeys } from "../lib/keys.ts";
import { shortId } from "../lib/paths.ts";
import { go, replaceQuery, route, withQuery } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import type { FlowSummary } from "../lib/types.ts";
import { Said, type SaidWords, useSaid } from "../ui/said.tsx";
import { Beginning } from "./beginning.tsx";
import { BulkBar } from "./bulk-bar.tsx";
import { FlowChoice } from "./flow-choice.ts";
import { FlowLine } from "./flow-line.tsx";
import { FlowList } from "./flow-list.ts";

const STATUSES: [string, string][] = [
  ["running", "Running"],
  ["wait", "Waiting"],
  ["suspend", "Failed"],
  ["failed", "Ended, failed"],
  ["finish", "Finished"],
  ["ignore", "Cancelled"],
];

export function FlowsScreen() {
  const { query } = route.value;
  const taskId = query.get("taskId") ?? "";
  const status = query.getAll("status");
  const since = query.get("since") ?? "";
  const trunk = query.get("trunk") ?? "";
  const list = useSignal<{ asked: string; opened: FlowList } | null>(null);
  const asked = JSON.stringify([taskId, status, since, trunk]);
  useEffect(() => {
    const opened = new FlowList({ taskId, status, since, trunk });
    list.value = { asked, opened };
    return () => opened.close();
  }, [asked]);
  // The list of what was asked for before is gone at once: keys would choose in it.
  const shown = list.value?.asked === asked ? list.value.opened : null;
  const said = useSaid();
  const isFiltered = taskId !== "" || status.length > 0 || since !== "" || trunk !== "";
  return (
    <div class="screen">
      <Bar taskId={taskId} status={status} trunk={trunk} said={said} />
      {shown !== null && (
        <List list={shown} isFiltered={isFiltered} onSaid={(words) => (said.value = words)} />
      )}
    </div>
  );
}

interface BarProps {
  taskId: string;
  status: string[];
  trunk: string;
  said: Signal<SaidWords | null>;
}

function Bar({ taskId, status, trunk, said }: BarProps) {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(
    () => bindKeys([{ keys: "/", what: "filter by workflow", run: () => input.current?.focus() }]),
    [],
  );
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    location.hash = withQuery({ taskId: input.current?.value.trim() ?? "" });
  };
  return (
    <div class="bar">
      <h1>Flows</h1>
      <form onSubmit={submit}>
        <input
          ref={input}
          key={taskId}
          type="search"
          aria-label="Workflow"
          placeholder="Workflow  ( / )"
          defaultValue={taskId}
          onBlur={submit as never}
        />
      </form>
      <fieldset class="chips">
        <legend class="hidden">Status</legend>
        {STATUSES.map(([value, word]) => {
          const isOn = status.includes(value);
          const changed = isOn ? status.filter((one) => one !== value) : [...status, value];
          return (
            <a
              key={value}
              class="chip"
              aria-current={isOn ? "true" : undefined}
              href={withQuery({ status: changed })}
            >
              {word}
            </a>
          );
        })}
      </fieldset>
      {trunk !== "" && (
        <a class="chip" aria-current="true" href={withQuery({ trunk: null })} title="Show all flows">
          below <span class="mono">{shortId(trunk)}</span> ×
        </a>
      )}
      <span class="grow" />
      <Said said={said} />
    </div>
  );
}

interface ListProps {
  list: FlowList;
  isFiltered: boolean;
  onSaid: (said: SaidWords) => void;
}

function List({ list, isFiltered, onSaid }: ListProps) {
  const flows = list.flows.value;
  const mayOperate = session.value?.mayOperate ?? false;
  const choice = useMemo(() => new FlowChoice(), [list]);
  const ids = flows?.map(({ taskFlowId }) => taskFlowId) ?? [];
  const picked = new Set(mayOperate ? choice.among(ids) : []);
  const chosen = route.value.query.get("flow");
  useLayoutEffect(() => {
    const step = (by: number) => {
      const all = list.flows.value ?? [];
      const at = all.findIndex((one) => one.taskFlowId === route.value.query.get("flow"));
      const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
      if (next === undefined) return;
      replaceQuery({ flow: next.taskFlowId });
      document.getElementById(`flow-${next.taskFlowId}`)?.scrollIntoView({ block: "nearest" });
    };
    const pick = (isRange: boolean) => {
      const id = route.value.query.get("flow");
      const all = list.flows.value?.map(({ taskFlowId }) => taskFlowId) ?? [];
      if (id !== null && all.includes(id)) choice.toggle(id, all, isRange);
    };
    const picking = [
      { keys: "x", what: "choose the flow, or no more", run: () => pick(false) },
      { keys: "X", what: "choose all from the last one to it", run: () => pick(true) },
      { keys: "*", what: "choose all that match", run: () => choice.chooseWhole() },
    ];
    return bindKeys([
      ...(mayOperate ? picking : []),
      { keys: "j", what: "next flow", run: () => step(1) },
      { keys: "k", what: "flow before", run: () => step(-1) },
      {
        keys: "Enter",
        what: "open the flow",
        run: () => {
          const id = route.value.query.get("flow");
          if (id !== null) go(["flows", id]);
        },
      },
    ]);
  }, [list, choice, mayOperate]);
  if (list.problem.value !== null && flows === null) {
    return (
      <p class="problem" role="alert">
        {list.problem.value}
      </p>
    );
  }
  if (flows === null) return null;
  if (flows.length === 0 && !isFiltered) return <Beginning />;
  if (flows.length === 0) {
    return (
      <div class="empty">
        <p>No flow is like that.</p>
        {list.warnings.value.map((words) => (
          <p key={words}>{words}</p>
        ))}
        <p>
          <a href={withQuery({ taskId: null, status: null, since: null, trunk: null })}>Show all flows</a>
        </p>
      </div>
    );
  }
  return (
    <>
      {picked.size > 0 && <BulkBar choice={choice} list={list} chosen={[...picked]} onSaid={onSaid} />}
      <div class="scroll">
        <Table
          flows={flows}
          chosen={chosen}
          picked={mayOperate ? picked : null}
          onPick={(id, isRange) => choice.toggle(id, ids, isRange)}
          onPickShown={() => choice.toggleShown(ids)}
        />
        {list.next.value !== null && (
          <p class="more">
            <button type="button" onClick={() => list.more()}>
              Show older flows
            </button>
          </p>
        )}
      </div>
    </>
  );
}

interface TableProps {
  flows: FlowSummary[];
  /** Where the keys are. */
  chosen: string | null;
  /** Those to do something to; null: nobody may. */
  picked: ReadonlySet<string> | null;
  onPick: (id: string, isRange: boolean) => void;
  onPickShown: () => void;
}

function Table({ flows, chosen, picked, onPick, onPickShown }: TableProps) {
  const isSome = picked !== null && picked.size > 0 && picked.size < flows.length;
  return (
    <table class="flows">
      <thead>
        <tr>
          {picked !== null && (
            <th class="pick">
              <input
                type="checkbox"
                aria-label="Choose all flows that are shown"
                checked={picked.size === flows.length}
                indeterminate={isSome}
                onClick={onPickShown}
              />
            </th>
          )}
          <th class="shape">
            <span class="hidden">Status</span>
          </th>
          <th>Workflow</th>
          <th class="id">Flow</th>
          <th class="tasks">Tasks</th>
          <th class="when">Registered</th>
          <th class="long">Took</th>
          <th class="by">By</th>
        </tr>
      </thead>
      <tbody>
        {flows.map((flow) => (
          <FlowLine
            key={flow.taskFlowId}
            flow={flow}
            isChosen={flow.taskFlowId === chosen}
            isPicked={picked === null ? null : picked.has(flow.taskFlowId)}
            onPick={(isRange) => onPick(flow.taskFlowId, isRange)}
          />
        ))}
      </tbody>
    </table>
  );
}
