// Server-sent events over fetch, which lets us say behind which event to go on, and see why a stream ended.
import { signal } from "@preact/signals";
import { isAborted, problemOf, send } from "./api.ts";
import { sawText } from "./seen.ts";

export type Standing = "connecting" | "live" | "away" | "waiting";

/** How the stream of the screen that is shown stands. */
export const standing = signal<Standing>("connecting");

export interface ServerEvent {
  kind: string;
  id: string;
  data: string;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const SILENCE_MS = 40_000; // heartbeats come every 15 s

/** Follows a stream until aborted, over restarts of the API, exactly on from the last event that came.
    `onRefused` is told of a refusal that trying again does not heal. `isMain`: the screen is live as this is. */
export async function follow(
  path: string,
  onEvent: (event: ServerEvent) => void,
  onRefused: (detail: string) => void,
  signal: AbortSignal,
  { isMain = true } = {},
): Promise<void> {
  let last = "";
  let pause = FIRST_PAUSE_MS;
  const show = (now: Standing) => {
    if (isMain) standing.value = now;
  };
  show("connecting");
  while (!signal.aborted) {
    try {
      const reply = await send(path, { signal, headers: last === "" ? {} : { "Last-Event-ID": last } });
      if (!reply.ok) {
        const problem = await problemOf(reply);
        if (reply.status < 500 && reply.status !== 429) {
          onRefused(problem.message);
          return;
        }
        throw problem;
      }
      show("live");
      for await (const event of eventsOf(reply, signal)) {
        pause = FIRST_PAUSE_MS;
        if (event.id !== "") last = event.id;
        if (event.kind === "waiting") show("waiting");
        else if (event.kind === "current") show("live");
        else if (event.kind === "seen") sawText(null, event.data);
        else onEvent(event);
      }
    } catch (error) {
      if (isAborted(error) && signal.aborted) return;
    }
    if (signal.aborted) return;
    show("away");
    await rest(pause, signal);
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

async function* eventsOf(reply: Response, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  if (reply.body === null) return;
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (!signal.aborted) {
      const { done, value } = await soon(reader.read());
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const event = read(part);
        if (event !== null) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** What a connection gives that is not dead: one that says nothing for long is given up. */
async function soon<T>(reading: Promise<T>): Promise<T> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error("nothing came")), SILENCE_MS);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

function read(text: string): ServerEvent | null {
  const event: ServerEvent = { kind: "", id: "", data: "" };
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) event.kind = line.slice(7);
    else if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("data: ")) event.data = line.slice(6);
  }
  return event.kind === "" ? null : event;
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
