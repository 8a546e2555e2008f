// What is asked of an operation before it is done, beside whether: a form for each kind.
import { useSignal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { go } from "../lib/route.ts";
import { readJson } from "../ui/json-field.tsx";
import { KeepAnswersField } from "./keep-answers-field.tsx";
import { type FormProps, OperationDialog } from "./operation-dialog.tsx";
import type { OperationKind } from "./operation-list.ts";
import { bodyOf, ParameterFields, useParameters } from "./parameter-fields.tsx";
import { VersionField } from "./version-field.tsx";

const SCOPES: [string, string][] = [
  ["dependents", "The task, and all behind it"],
  ["", "The task, and what read its result"],
  ["changed", "The task, and of maps behind it what is new or has changed"],
  ["only", "The task alone"],
];

function Plain(props: FormProps) {
  return <OperationDialog {...props} body={props.operation.body} />;
}

function RerunMany(props: FormProps) {
  const keepsAnswers = useSignal(false);
  const body = { ...props.operation.body, ...(keepsAnswers.value && { keepAnswers: true }) };
  return (
    <OperationDialog {...props} body={body}>
      <div class="fields">
        <KeepAnswersField live={props.live} value={keepsAnswers} />
      </div>
    </OperationDialog>
  );
}

function Rerun(props: FormProps) {
  const scope = useSignal("dependents");
  const keepsAnswers = useSignal(false);
  const version = useSignal("");
  const parameters = useParameters(props.live, props.operation.task ?? 1);
  const given = bodyOf(parameters);
  const body = given && {
    ...props.operation.body,
    scope: scope.value === "" ? undefined : scope.value,
    workflowVersion: version.value === "" ? undefined : version.value,
    keepAnswers: keepsAnswers.value || undefined,
    ...given,
  };
  return (
    <OperationDialog {...props} body={body}>
      <div class="fields">
        <label>
          <span>What runs again</span>
          <select value={scope.value} onChange={(event) => (scope.value = event.currentTarget.value)}>
            {SCOPES.map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <VersionField live={props.live} value={version} none="as it is" />
        <KeepAnswersField live={props.live} value={keepsAnswers} />
      </div>
      <ParameterFields parameters={parameters} />
    </OperationDialog>
  );
}

function Ignore(props: FormProps) {
  const result = useSignal("");
  const hasCascade = useSignal(false);
  const reason = useSignal("");
  const read = readJson(result.value);
  const body =
    read.problem !== null
      ? null
      : {
          ...props.operation.body,
          reason: reason.value,
          ...(result.value.trim() !== "" && { result: read.value }),
          ...(hasCascade.value && { cascade: true }),
        };
  return (
    <OperationDialog {...props} body={body}>
      <div class="fields">
        <label>
          <span>Why</span>
          <input value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
        </label>
        <label>
          <span>Result in its place (JSON)</span>
          <textarea
            rows={2}
            value={result.value}
            placeholder="none"
            aria-invalid={read.problem !== null}
            onInput={(event) => (result.value = event.currentTarget.value)}
          />
        </label>
        {read.problem !== null && <p class="hint">{read.problem}</p>}
        <label class="check">
          <input
            type="checkbox"
            checked={hasCascade.value}
            onChange={(event) => (hasCascade.value = event.currentTarget.checked)}
          />
          <span>and all that cannot do without its result</span>
        </label>
      </div>
    </OperationDialog>
  );
}

function Fork(props: FormProps) {
  const version = useSignal("");
  const parameters = useParameters(props.live, props.operation.task ?? 1);
  const given = bodyOf(parameters);
  const body = given && {
    ...props.operation.body,
    workflowVersion: version.value === "" ? undefined : version.value,
    ...given,
  };
  const open = (answer: { taskFlowId?: string }) => {
    if (answer.taskFlowId !== undefined) go(["flows", answer.taskFlowId]);
  };
  return (
    <OperationDialog {...props} body={body} onAnswer={open}>
      <p>In a new flow, which takes over what is before {props.live.name(props.operation.task ?? 1)}:</p>
      <div class="fields">
        <VersionField live={props.live} value={version} none="that of this flow" />
      </div>
      <ParameterFields parameters={parameters} />
    </OperationDialog>
  );
}

function Priority(props: FormProps) {
  const priority = useSignal(String(props.live.rows[1]?.priority ?? 0));
  const number = Number(priority.value);
  const isRight = priority.value !== "" && Number.isInteger(number) && number >= -20 && number <= 19;
  return (
    <OperationDialog {...props} body={isRight ? { ...props.operation.body, priority: number } : null}>
      <div class="fields">
        <label>
          <span>Priority, −20 (first) to 19</span>
          <input
            type="number"
            min={-20}
            max={19}
            value={priority.value}
            onInput={(event) => (priority.value = event.currentTarget.value)}
          />
        </label>
      </div>
    </OperationDialog>
  );
}

export const OPERATION_FORMS: Record<OperationKind, FunctionComponent<FormProps>> = {
  plain: Plain,
  rerun: Rerun,
  "rerun-many": RerunMany,
  ignore: Ignore,
  fork: Fork,
  priority: Priority,
};
