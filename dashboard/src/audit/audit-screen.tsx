// Who did what, and when: what somebody changed just before it broke is here.
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { usePages } from "../lib/answers.ts";
import { bindKeys } from "../lib/keys.ts";
import { shortId } from "../lib/paths.ts";
import { hrefOf, route, withQuery } from "../lib/route.ts";
import { ago, iso, moment, now } from "../lib/times.ts";
import { ProblemLine } from "../ui/problem-line.tsx";
import { type Act, changesOf, KINDS, placeOf, verbOf } from "./act-words.ts";

const REST_MS = 3_000;
const RECENT_MS = 60_000; // what is older is told by its time: it is compared with other times

export function AuditScreen() {
  const { query } = route.value;
  const { items, problem, more } = usePages<Act>(pathOf(query), "acts", REST_MS);
  return (
    <div class="screen">
      <Bar kinds={query.getAll("kind")} />
      <ProblemLine words={problem} />
      {items?.length === 0 && <Nothing isWhole={more === null} />}
      {items !== null && items.length > 0 && (
        // biome-ignore lint/a11y/useSemanticElements: it scrolls
        <div class="scroll" role="region" aria-label="What people did" tabIndex={0}>
          <table class="rows audit">
            <thead>
              <tr>
                <th class="w-when">When</th>
                <th class="w-who">Who</th>
                <th>What</th>
              </tr>
            </thead>
            <tbody>
              {items.map((one, index) => (
                <Line key={`${one.at} ${one.act} ${one.taskFlowId ?? one.name} ${index}`} act={one} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more !== null && (
        <p class="more">
          <button type="button" onClick={more}>
            Look further back
          </button>
        </p>
      )}
    </div>
  );
}

function pathOf(query: URLSearchParams): string {
  const asked = new URLSearchParams({ limit: "100" });
  for (const name of ["by", "taskId", "taskFlowId", "since", "until"]) {
    const value = query.get(name);
    if (value) asked.set(name, value);
  }
  for (const kind of query.getAll("kind")) {
    for (const what of KINDS.find(([name]) => name === kind)?.[2] ?? []) asked.append("what", what);
  }
  return `audit?${asked}`;
}

function Bar({ kinds }: { kinds: string[] }) {
  const { query } = route.value;
  const who = useRef<HTMLInputElement>(null);
  useLayoutEffect(
    () => bindKeys([{ keys: "/", what: "filter by who it was", run: () => who.current?.focus() }]),
    [],
  );
  const by = query.get("by") ?? "";
  useEffect(() => {
    if (who.current !== null) who.current.value = by;
  }, [by]);
  const narrow = () => {
    if (who.current !== null) location.hash = withQuery({ by: who.current.value.trim() });
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    narrow();
  };
  const narrowed = (["taskId", "taskFlowId", "since", "until"] as const).filter((name) => query.get(name));
  return (
    <div class="bar">
      <h1>Audit</h1>
      <form onSubmit={submit}>
        <input
          ref={who}
          type="search"
          aria-label="Who"
          placeholder="Who  ( / )"
          defaultValue={by}
          onChange={narrow}
        />
      </form>
      <fieldset class="chips">
        <legend class="hidden">What</legend>
        {KINDS.map(([kind, word]) => {
          const isOn = kinds.includes(kind);
          const changed = isOn ? kinds.filter((one) => one !== kind) : [...kinds, kind];
          return (
            <a
              key={kind}
              class="chip"
              aria-current={isOn ? "true" : undefined}
              href={withQuery({ kind: changed })}
            >
              {word}
            </a>
          );
        })}
      </fieldset>
      {narrowed.map((name) => (
        <a
          key={name}
          class="chip"
          aria-current="true"
          href={withQuery({ [name]: null })}
          title="Show all again"
        >
          <bdi>{query.get(name)}</bdi> ×
        </a>
      ))}
    </div>
  );
}

function Line({ act: one }: { act: Act }) {
  const at = Date.parse(one.at);
  const said = changesOf(one);
  return (
    <tr>
      <td title={iso(at)}>{now.value - at < RECENT_MS ? ago(at, now.value) : moment(at)}</td>
      <td>
        <a class="who-link" href={withQuery({ by: one.by })} title={`All that ${one.by} did`}>
          <bdi>{one.by}</bdi>
        </a>
      </td>
      <td class="whole">
        {verbOf(one)} <What act={one} /> {one.reason !== "" && <bdi class="act-reason">“{one.reason}”</bdi>}
        {said.length > 0 && <bdi class="muted block">{said.join(" · ")}</bdi>}
      </td>
    </tr>
  );
}

function What({ act: one }: { act: Act }) {
  if (one.taskFlowId !== null) {
    const task = one.task === null ? {} : { task: one.task };
    return (
      <>
        <a href={hrefOf(["flows", one.taskFlowId], task)}>
          <bdi>{one.taskId ?? one.taskFlowId}</bdi>
        </a>{" "}
        <span class="mono muted">{shortId(one.taskFlowId)}</span>
        {one.name !== null && <bdi> ({one.name})</bdi>}
      </>
    );
  }
  const place = placeOf(one);
  const name = one.name ?? one.taskId;
  if (name === null) return null;
  return place === null ? (
    <bdi class="strong-name">{name}</bdi>
  ) : (
    <a href={hrefOf(place, one.act.startsWith("bulk.") ? { taskId: one.taskId } : {})}>
      <bdi>{name}</bdi>
    </a>
  );
}

function Nothing({ isWhole }: { isWhole: boolean }) {
  const isAsked = [...route.value.query.keys()].length > 0;
  return (
    <div class="empty">
      <p>
        {!isWhole
          ? "Nothing like that among the latest; there is more."
          : isAsked
            ? "Nobody did anything like that."
            : "Nobody did anything yet."}
      </p>
      <p class="muted">
        Who registers, reruns, cancels, answers, or changes a workflow, a schedule or a limit is named here by
        his token; whoever used SQL as sql: and the role.
      </p>
      {isAsked && (
        <p>
          <a href={hrefOf(["audit"])}>Show all</a>
        </p>
      )}
    </div>
  );
}
