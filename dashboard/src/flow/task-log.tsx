// What a task wrote, as it comes; search marks lines, nothing is interpreted.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { follow } from "../lib/events.ts";
import type { LogLine } from "../lib/types.ts";
import { LogLineView } from "./log-line.tsx";

const KEPT = 5_000; // lines in memory; the whole log can be had as text
const SHOWN = 1_000;

export function TaskLog({ flow, task }: { flow: string; task: number }) {
  const lines = useSignal<LogLine[]>([]);
  const count = useSignal(0);
  const isOver = useSignal(false);
  const problem = useSignal<string | null>(null);
  const search = useSignal("");
  const end = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const path = `flows/${encodeURIComponent(flow)}/tasks/${task}/log`;
  useEffect(() => {
    const ending = new AbortController();
    let waiting: LogLine[] = [];
    const show = () => {
      if (waiting.length === 0) return;
      count.value += waiting.length;
      lines.value = [...lines.peek(), ...waiting].slice(-KEPT);
      waiting = [];
    };
    const timer = setInterval(show, 100);
    follow(
      `${path}?follow=true&tail=${SHOWN}`,
      ({ kind, data }) => {
        if (kind === "line") waiting.push(JSON.parse(data));
        if (kind === "end") {
          show();
          isOver.value = true;
          ending.abort();
        }
      },
      (detail) => (problem.value = detail),
      ending.signal,
      { isMain: false },
    );
    return () => {
      ending.abort();
      clearInterval(timer);
    };
  }, [path, lines, count, isOver, problem]);
  useEffect(() => {
    if (isAtEnd.current && end.current !== null) end.current.scrollTop = end.current.scrollHeight;
  });
  const wanted = search.value.toLowerCase();
  const found =
    wanted === "" ? lines.value : lines.value.filter((one) => one.text.toLowerCase().includes(wanted));
  const several = new Set(lines.value.map((one) => one.attempt)).size > 1;
  return (
    <div class="log">
      <div class="log-bar">
        <input
          type="search"
          aria-label="Search the log"
          placeholder="Search"
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
        <span class="muted">{isOver.value ? `${count.value} lines` : `${count.value} lines, live`}</span>
        <span class="grow" />
        <a href={`${path}`} target="_blank" rel="noreferrer">
          All
        </a>
      </div>
      {problem.value !== null && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <div
        ref={end}
        class="lines"
        role="log"
        tabIndex={0}
        aria-label="Log"
        onScroll={(event) => {
          const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
          isAtEnd.current = scrollTop + clientHeight >= scrollHeight - 4;
        }}
      >
        {found.slice(-SHOWN).map((one, index) => (
          <LogLineView key={`${one.attempt}.${one.number ?? `e${index}`}`} line={one} withAttempt={several} />
        ))}
        {isOver.value && lines.value.length === 0 && <p class="muted">It wrote nothing.</p>}
      </div>
    </div>
  );
}
