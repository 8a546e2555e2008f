import { clock, duration, iso } from "../lib/times.ts";
import type { Attempt } from "../lib/types.ts";

const WORDS: Record<string, string> = {
  running: "runs",
  finished: "finished",
  failed: "failed",
  retrying: "failed, tried again",
  again: "asked for another round",
  flowAgain: "asked for another round of its flow",
  lapsed: "lost with its worker",
  returned: "handed back",
  timedOut: "timed out",
  cancelled: "cancelled",
  awaiting: "asked",
  answered: "answered",
  expanded: "expanded",
  over: "its time was over",
  overdue: "nobody came in time",
  askedAnew: "asked anew",
  passedOver: "passed over",
};

/** The attempts of a task, the last one first. */
export function Attempts({ attempts }: { attempts: Attempt[] }) {
  if (attempts.length === 0) return null;
  return (
    <section>
      <h3>Attempts</h3>
      <table class="attempts">
        <tbody>
          {[...attempts].reverse().map((one) => {
            const begun = Date.parse(one.startedTs);
            const ended = one.endedTs === null ? null : Date.parse(one.endedTs);
            return (
              <tr key={one.attempt}>
                <th scope="row">{one.attempt}</th>
                <td title={iso(begun)}>{clock(begun)}</td>
                <td class="long">{ended === null ? "" : duration(ended - begun)}</td>
                <td>
                  {WORDS[one.how] ?? one.how}
                  {one.round !== null && ` ${one.round}`}
                  {one.error !== null && (
                    <span class="muted">
                      {" "}
                      <bdi>
                        {one.error.type}: {one.error.message.slice(0, 200)}
                      </bdi>
                    </span>
                  )}
                </td>
                <td class="muted worker">
                  <bdi>{one.worker}</bdi>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
