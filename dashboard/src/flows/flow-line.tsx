import { shortId } from "../lib/paths.ts";
import { hrefOf } from "../lib/route.ts";
import { stageOfFlow, wordOfFlow } from "../lib/statuses.ts";
import { ago, duration, iso, moment, msOf, now } from "../lib/times.ts";
import type { FlowSummary } from "../lib/types.ts";
import { StatusMark } from "../ui/status-mark.tsx";

interface Props {
  flow: FlowSummary;
  /** Where the keys are. */
  isChosen: boolean;
  /** Whether it is one of those to do something to; null: nobody may. */
  isPicked: boolean | null;
  onPick: (isRange: boolean) => void;
}

/** One flow in the list. */
export function FlowLine({ flow, isChosen, isPicked, onPick }: Props) {
  const hasEnded = flow.finishedTs !== null;
  const stage = stageOfFlow(flow.status, flow.pausedTs !== null, hasEnded);
  const registered = Date.parse(flow.registeredTs);
  const started = msOf(flow.startedTs);
  const ended = msOf(flow.finishedTs);
  const word = stage === "paused" ? "paused" : wordOfFlow(flow.status, hasEnded, flow.endingTs !== null);
  return (
    <tr id={`flow-${flow.taskFlowId}`} class={isChosen ? "chosen" : undefined} aria-selected={isChosen}>
      {isPicked !== null && (
        <td class="pick">
          <input
            type="checkbox"
            aria-label={`Choose ${flow.taskId} ${shortId(flow.taskFlowId)}`}
            checked={isPicked}
            onClick={(event) => onPick(event.shiftKey)}
          />
        </td>
      )}
      <td class="shape">
        <StatusMark stage={stage} word={word} />
      </td>
      <td class="name">
        <a href={hrefOf(["flows", flow.taskFlowId])}>
          <bdi>{flow.taskId}</bdi>
        </a>
      </td>
      <td class="id">
        <a href={hrefOf(["flows", flow.taskFlowId])} tabIndex={-1}>
          {shortId(flow.taskFlowId)}
        </a>
      </td>
      <td class="tasks">
        <Share flow={flow} />
      </td>
      <td class="when" title={iso(registered)}>
        {moment(registered)} <span class="muted">{ago(registered, now.value)}</span>
      </td>
      <td class="long">{started === null ? "" : duration((ended ?? now.value) - started)}</td>
      <td class="by">
        <bdi>{flow.schedule ?? flow.registeredBy}</bdi>
      </td>
    </tr>
  );
}

function Share({ flow }: { flow: FlowSummary }) {
  const done = flow.finished + flow.ignored;
  const parts: [string, number][] = [
    ["finished", flow.finished],
    ["ignored", flow.ignored],
    ["suspended", flow.suspended],
    ["running", flow.running],
  ];
  let from = 0;
  return (
    <span class="share" title={sentence(flow)}>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        {parts.map(([name, count]) => {
          const width = (100 * count) / Math.max(1, flow.taskCount);
          const x = from;
          from += width;
          return width > 0 && <rect key={name} class={name} x={x} width={width} height="6" />;
        })}
      </svg>
      <span>{done === flow.taskCount ? done.toLocaleString() : `${done}/${flow.taskCount}`}</span>
    </span>
  );
}

function sentence(flow: FlowSummary): string {
  const counts: [number, string][] = [
    [flow.finished, "finished"],
    [flow.running, "running"],
    [flow.suspended, "failed"],
    [flow.waiting, "waiting"],
    [flow.ignored, "passed over"],
  ];
  return counts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(", ");
}
