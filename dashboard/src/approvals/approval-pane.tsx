// One approval: what is asked, of whom, what it shows, and the form that answers it.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useAnswer, wordsOf } from "../lib/answers.ts";
import { act, type Fault, Problem } from "../lib/api.ts";
import { pathTo } from "../lib/paths.ts";
import { hrefOf } from "../lib/route.ts";
import { session } from "../lib/session.ts";
import { iso, moment } from "../lib/times.ts";
import { faultsByField, fieldsOf } from "../schema/schema-fields.ts";
import { SchemaForm, useForm } from "../schema/schema-form.tsx";
import { JsonView } from "../ui/json-view.tsx";
import { ProblemLine } from "../ui/problem-line.tsx";
import { type Approval, type ApprovalDetail, titleOf } from "./approval-types.ts";

const REST_MS = 4_000;

interface Props {
  approval: Approval;
  onClose: () => void;
  onAnswered: (words: string) => void;
}

export function ApprovalPane({ approval, onClose, onAnswered }: Props) {
  const path = pathTo("flows", approval.taskFlowId, "tasks", approval.taskExecSeq);
  const { value, problem } = useAnswer<ApprovalDetail>(`${path}/approval`, REST_MS);
  const detail = value ?? { ...approval, shows: null, problems: [], isAsked: true };
  return (
    <aside class="pane" aria-label={titleOf(approval)}>
      <div class="pane-head">
        <h2>
          <bdi>{titleOf(approval)}</bdi>
        </h2>
        <span class="grow" />
        <button type="button" class="quiet" onClick={onClose} aria-label="Close the approval">
          ✕
        </button>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="pane-body" role="region" aria-label="What is asked" tabIndex={0}>
        {detail.text !== null && <p class="asked-text">{detail.text}</p>}
        <Whom approval={detail} />
        {isSomething(detail.shows) && (
          <section>
            <h3>Beside it</h3>
            <JsonView value={detail.shows} />
          </section>
        )}
        {detail.problems.map((words) => (
          <p key={words} class="hint">
            {words}
          </p>
        ))}
        <ProblemLine words={problem} />
        {session.value?.mayOperate && <AnswerForm approval={approval} path={path} onAnswered={onAnswered} />}
        <p class="links">
          <a href={hrefOf(["flows", approval.taskFlowId], { task: approval.taskExecSeq })}>Its flow</a>
        </p>
      </div>
    </aside>
  );
}

function Whom({ approval: one }: { approval: ApprovalDetail }) {
  const roles = one.roles.length === 0 ? "whoever may operate" : one.roles.join(", ");
  return (
    <dl class="facts">
      <dt>Of whom</dt>
      <dd>
        <bdi>{roles}</bdi>
        {one.of > 1 && `, ${one.of} of them`}
        {one.notRegistrant && `, not ${one.registeredBy}`}
      </dd>
      {one.answeredBy.length > 0 && (
        <>
          <dt>Answered</dt>
          <dd>
            <bdi>{one.answeredBy.join(", ")}</bdi>
          </dd>
        </>
      )}
      <dt>Asked</dt>
      <dd title={iso(Date.parse(one.since))}>{moment(Date.parse(one.since))}</dd>
      {one.until !== null && (
        <>
          <dt>Until</dt>
          <dd>
            {moment(Date.parse(one.until))}, then{" "}
            {one.onTimeout === "default" ? "it goes on with its default" : "it fails"}
          </dd>
        </>
      )}
    </dl>
  );
}

function AnswerForm({
  approval,
  path,
  onAnswered,
}: {
  approval: Approval;
  path: string;
  onAnswered: (words: string) => void;
}) {
  const all = useMemo(() => fieldsOf(approval.form ?? {}), [approval.form]);
  // Yes and no are two buttons, as on the page of an answer link.
  const isYesOrNo = all.some(({ name, choices }) => name === "approved" && choices[0]?.[0] === true);
  const fields = useMemo(() => all.filter(({ name }) => !isYesOrNo || name !== "approved"), [all, isYesOrNo]);
  const form = useForm(fields);
  const faults = useSignal<Fault[]>([]);
  const problem = useSignal<string | null>(null);
  const isUnderWay = useSignal(false);
  const { byField, others } = faultsByField(faults.value, fields, "/answer");
  const send = async (more: Record<string, unknown>) => {
    if (form.values === null || isUnderWay.value) return;
    isUnderWay.value = true;
    faults.value = [];
    problem.value = null;
    try {
      const answer = { ...form.values, ...more };
      const told = await act<{ tasks: number[] }>(`${path}/answer`, { answer, attempt: approval.attempt });
      onAnswered(told.tasks.length > 0 ? "Answered" : "Answered; others are still to answer");
    } catch (error) {
      if (error instanceof Problem && error.faults.length > 0) faults.value = error.faults;
      else problem.value = wordsOf(error);
    }
    isUnderWay.value = false;
  };
  const isOff = form.values === null || isUnderWay.value;
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!isYesOrNo) send({});
      }}
    >
      {(fields.length > 0 || !isYesOrNo) && <SchemaForm form={form} legend="Answer" faults={byField} />}
      {others.map((words) => (
        <ProblemLine key={words} words={words} />
      ))}
      <ProblemLine words={problem.value} />
      <div class="choices">
        {isYesOrNo ? (
          <>
            <button type="button" disabled={isOff} onClick={() => send({ approved: false })}>
              No
            </button>
            <button type="button" class="strong" disabled={isOff} onClick={() => send({ approved: true })}>
              Yes
            </button>
          </>
        ) : (
          <button type="submit" class="strong" disabled={isOff}>
            Answer
          </button>
        )}
      </div>
    </form>
  );
}

function isSomething(value: unknown): boolean {
  if (value === null || value === undefined) return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}
