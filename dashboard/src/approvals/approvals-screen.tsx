// What waits for an answer of people, answered in place; and signals, by which the world tells flows something.
import { useLayoutEffect } from "preact/hooks";
import { usePages } from "../lib/answers.ts";
import { counted } from "../lib/counts.ts";
import { bindKeys } from "../lib/keys.ts";
import { hrefOf, replaceQuery, route, withQuery } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { ago, iso, moment, now } from "../lib/times.ts";
import { useLineKeys } from "../ui/line-keys.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { Said, useSaid } from "../ui/said.tsx";
import { ApprovalPane } from "./approval-pane.tsx";
import { type Approval, titleOf } from "./approval-types.ts";
import { Signals } from "./signals.tsx";

const REST_MS = 2_000;

export function ApprovalsScreen() {
  const isSignals = route.value.query.get("view") === "signals";
  const isMine = route.value.query.get("mine") === "true";
  const said = useSaid();
  return (
    <div class="screen">
      <div class="bar">
        <h1>Approvals</h1>
        <span class="segments">
          <a href={withQuery({ view: null })} aria-current={isSignals ? undefined : "true"}>
            Open
          </a>
          <a href={withQuery({ view: "signals", line: null })} aria-current={isSignals ? "true" : undefined}>
            Signals
          </a>
        </span>
        {!isSignals && session.value?.needsToken && (
          <a
            class="chip"
            aria-current={isMine ? "true" : undefined}
            href={withQuery({ mine: isMine ? null : "true" })}
          >
            I may answer
          </a>
        )}
        <Said said={said} />
      </div>
      {isSignals ? (
        <Signals onSaid={(words) => (said.value = { words, undo: null })} />
      ) : (
        <Open isMine={isMine} onSaid={(words) => (said.value = { words, undo: null })} />
      )}
    </div>
  );
}

function nameOf({ taskFlowId, taskExecSeq }: Approval): string {
  return `${taskFlowId}/${taskExecSeq}`;
}

function Open({ isMine, onSaid }: { isMine: boolean; onSaid: (words: string) => void }) {
  const path = `approvals?limit=100${isMine ? "&mine=true" : ""}`;
  const { items, problem, more, again } = usePages<Approval>(path, "approvals", REST_MS);
  const approvals = items ?? [];
  const chosen = useLineKeys("approval", approvals.map(nameOf), () =>
    document
      .querySelector<HTMLElement>(".pane input, .pane select, .pane textarea, .pane button.strong")
      ?.focus(),
  );
  const shown = approvals.find((one) => nameOf(one) === chosen) ?? null;
  useLayoutEffect(
    () => bindKeys([{ keys: "Escape", what: "close the approval", run: () => replaceQuery({ line: null }) }]),
    [],
  );
  if (items?.length === 0) return <NoApproval isMine={isMine} />;
  return (
    <>
      <ProblemLine words={problem} />
      <div class={shown === null ? "panes" : "panes split"}>
        {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
        <div class="scroll" role="region" aria-label="Approvals" tabIndex={0}>
          <table class="rows">
            <thead>
              <tr>
                <th>What is asked</th>
                <th class="w-p wide">Workflow</th>
                <th class="w-when">Since</th>
                <th class="w-m wide">Until</th>
                <th class="w-s wide">Answers</th>
              </tr>
            </thead>
            <tbody>
              {approvals.map((one) => (
                <Line key={nameOf(one)} approval={one} isChosen={one === shown} />
              ))}
            </tbody>
          </table>
          {more !== null && (
            <p class="more">
              <button type="button" onClick={more}>
                Show more approvals
              </button>
            </p>
          )}
        </div>
        {shown !== null && (
          <ApprovalPane
            key={`${nameOf(shown)} ${shown.attempt}`}
            approval={shown}
            onClose={() => replaceQuery({ line: null })}
            onAnswered={(words) => {
              onSaid(words);
              again();
            }}
          />
        )}
      </div>
    </>
  );
}

function Line({ approval: one, isChosen }: { approval: Approval; isChosen: boolean }) {
  const since = Date.parse(one.since);
  return (
    <tr class={isChosen ? "chosen" : undefined} aria-selected={isChosen}>
      <td class="name">
        <a href={withQuery({ line: nameOf(one) })}>
          <bdi>{titleOf(one)}</bdi>
        </a>
        {one.isPaused && <span class="muted"> · its flow is paused</span>}
      </td>
      <td class="wide">
        <a href={hrefOf(["flows", one.taskFlowId], { task: one.taskExecSeq })}>
          <bdi>{one.taskId}</bdi>
        </a>
      </td>
      <td title={iso(since)}>{ago(since, now.value)}</td>
      <td class="wide">
        {one.until === null ? <span class="muted">never</span> : moment(Date.parse(one.until))}
      </td>
      <td class="wide">
        {one.answeredBy.length} of {one.of}
      </td>
    </tr>
  );
}

function NoApproval({ isMine }: { isMine: boolean }) {
  return (
    <div class="empty beginning">
      <h2>Nothing waits for {isMine ? "your" : "an"} answer</h2>
      <p>A workflow asks people where it says so, and goes on with what they answer:</p>
      <pre>{`from flower_engine import approval, workflow

@workflow("refund")
def refund(order: int):
    ok = approval("Refund this order?", roles=["support"])
    return pay.step(order).after(ok)`}</pre>
      <p class="muted">
        {counted(0, "approval")} {isMine ? "of all that you may answer" : ""} open.
      </p>
    </div>
  );
}
