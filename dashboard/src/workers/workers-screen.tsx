// What the engine is busy with at this moment: queues, what waits in them, and the workers that serve them.
import { useAnswer } from "../lib/answers.ts";
import { counted } from "../lib/counts.ts";
import { hrefOf } from "../lib/route.ts";
import { ago, duration, iso, now } from "../lib/times.ts";
import { ProblemLine } from "../ui/problem-line.tsx";

const REST_MS = 1_500;

interface Queue {
  queue: string;
  waiting: number;
  running: number;
}

interface Lane {
  queue: string;
  priority: number;
  workflow: string;
  program: string;
  key: string;
  waiting: number;
  firstSeconds: number;
  setAsideBy: string;
}

interface Top {
  queues: Queue[];
  lanes: Lane[];
  lanesLeftOut: number;
  isWhole: boolean;
  startsPerSecond: number;
  finishesPerSecond: number;
  missingPartitions: number[];
}

interface Worker {
  worker: string;
  host: string;
  pid: number;
  slots: number;
  queues: string[];
  programs: string[];
  running: number;
  stuck: string[];
  unable: Record<string, string>;
  outdated: string[];
  startedTs: string;
  seenTs: string;
}

export function WorkersScreen() {
  const { value: top, problem } = useAnswer<Top>("top", REST_MS);
  const { value: told } = useAnswer<{ workers: Worker[]; warnings?: string[] }>("workers", REST_MS);
  const workers = told?.workers ?? [];
  const slots = workers.reduce((sum, one) => sum + one.slots, 0);
  const running = workers.reduce((sum, one) => sum + one.running, 0);
  return (
    <div class="screen">
      <div class="bar">
        <h1>Workers</h1>
        {told !== null && (
          <span class="muted">
            {counted(workers.length, "worker")}, {running} of {counted(slots, "slot")} in use
          </span>
        )}
        {top !== null && (
          <span class="muted">
            {rate(top.startsPerSecond)} starts/s, {rate(top.finishesPerSecond)} finishes/s
          </span>
        )}
      </div>
      <ProblemLine words={problem} />
      {top !== null && top.missingPartitions.length > 0 && (
        <ProblemLine words={`Partitions that stand still: ${top.missingPartitions.join(", ")}`} />
      )}
      {told?.warnings?.map((words) => (
        <ProblemLine key={words} words={words} />
      ))}
      {/* biome-ignore lint/a11y/useSemanticElements: it scrolls */}
      <div class="scroll sections" role="region" aria-label="Workers and queues" tabIndex={0}>
        {told !== null && (workers.length === 0 ? <NoWorker /> : <Workers workers={workers} />)}
        {top !== null && <Queues queues={top.queues} workers={workers} />}
        {top !== null && top.lanes.length > 0 && <Lanes top={top} workers={workers} />}
      </div>
    </div>
  );
}

function rate(value: number): string {
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString();
}

function Workers({ workers }: { workers: Worker[] }) {
  return (
    <table class="rows">
      <caption>Workers</caption>
      <thead>
        <tr>
          <th>Worker</th>
          <th class="w-l">Slots in use</th>
          <th class="w-p wide">Queues</th>
          <th class="w-m wide">Programs</th>
          <th class="w-m">Heard of</th>
        </tr>
      </thead>
      <tbody>
        {workers.map((one) => (
          <tr key={one.worker}>
            <td class="whole">
              <bdi>{one.worker}</bdi> <span class="muted">pid {one.pid}</span>
              <Troubles worker={one} />
            </td>
            <td>
              <progress max={Math.max(1, one.slots)} value={one.running} aria-label="Slots in use" />{" "}
              {one.running}/{one.slots}
            </td>
            <td class="wide">
              <bdi>{one.queues.join(", ")}</bdi>
            </td>
            <td class="wide" title={one.programs.join(", ")}>
              {counted(one.programs.length, "program")}
            </td>
            <td title={`since ${iso(Date.parse(one.startedTs))}`}>
              {ago(Date.parse(one.seenTs), now.value)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Troubles({ worker }: { worker: Worker }) {
  const said = [
    ...Object.entries(worker.unable).map(([program, why]) => `cannot start ${program}: ${why}`),
    ...(worker.stuck.length > 0 ? [`${counted(worker.stuck.length, "attempt")} do not stop`] : []),
    ...(worker.outdated.length > 0 ? [`runs files as they were: ${worker.outdated.join(", ")}`] : []),
  ];
  return (
    <>
      {said.map((words) => (
        <span key={words} class="wrong block">
          {words}
        </span>
      ))}
    </>
  );
}

function Queues({ queues, workers }: { queues: Queue[]; workers: Worker[] }) {
  if (queues.length === 0) return null;
  return (
    <table class="rows">
      <caption>Queues</caption>
      <thead>
        <tr>
          <th>Queue</th>
          <th class="w-m number">Ready</th>
          <th class="w-m number">Running</th>
          <th class="w-m number wide">Workers</th>
        </tr>
      </thead>
      <tbody>
        {queues.map(({ queue, waiting, running }) => {
          const serving = workers.filter((one) => one.queues.includes(queue)).length;
          return (
            <tr key={queue}>
              <td class="whole">
                <bdi>{queue}</bdi>
                {serving === 0 && waiting > 0 && <span class="wrong"> no live worker serves it</span>}
              </td>
              <td class="number">{waiting.toLocaleString()}</td>
              <td class="number">{running.toLocaleString()}</td>
              <td class="number wide">{serving}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Lanes({ top, workers }: { top: Top; workers: Worker[] }) {
  return (
    <table class="rows">
      <caption>
        Ready tasks that are alike{top.lanesLeftOut > 0 && `; ${top.lanesLeftOut} shorter rows are left out`}
      </caption>
      <thead>
        <tr>
          <th>Program</th>
          <th class="w-p">Workflow</th>
          <th class="w-m wide">Queue</th>
          <th class="w-s number">Ready</th>
          <th class="w-m wide">First waits</th>
          <th class="w-p wide">Waits for</th>
        </tr>
      </thead>
      <tbody>
        {top.lanes.map((one) => (
          <tr key={`${one.queue} ${one.priority} ${one.workflow} ${one.program} ${one.key}`}>
            <td>
              <bdi>{one.program}</bdi>
              {one.key !== "" && <bdi class="muted"> {one.key}</bdi>}
            </td>
            <td>
              <a href={hrefOf(["flows"], { taskId: one.workflow, status: ["running", "wait"] })}>
                <bdi>{one.workflow}</bdi>
              </a>
            </td>
            <td class="wide">
              <bdi>{one.queue}</bdi>
            </td>
            <td class="number">{one.waiting.toLocaleString()}</td>
            <td class="wide">{duration(1_000 * one.firstSeconds)}</td>
            <td class="wide">
              {one.setAsideBy === "" ? (
                <span class="muted">{isServed(one, workers) ? "free slots" : "a worker"}</span>
              ) : (
                <a href={hrefOf(["limits"])}>
                  <bdi>{one.setAsideBy}</bdi>
                </a>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function isServed({ queue }: Lane, workers: Worker[]): boolean {
  return workers.some(({ queues }) => queues.includes(queue));
}

function NoWorker() {
  return (
    <div class="empty beginning">
      <h2>No live worker</h2>
      <p>Workers run the programs. Nothing starts until one serves the queue of a task:</p>
      <pre>{`flower worker --programs hello --slots 8`}</pre>
      <p class="muted">It shows up here with its first heartbeat.</p>
    </div>
  );
}
