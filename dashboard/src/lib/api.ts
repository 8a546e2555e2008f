// Calls of the API; errors are its problems (RFC 9457).
import { HEADER, sawText, seenText } from "./seen.ts";
import { forgetSession, session } from "./session.ts";

/** One thing that is wrong; `pointer` (JSON Pointer) leads to it in what was sent. */
export interface Fault {
  detail: string;
  pointer?: string;
}

export class Problem extends Error {
  readonly status: number;
  readonly kind: string;
  readonly faults: Fault[];

  constructor(status: number, kind: string, detail: string, faults: Fault[] = []) {
    super(detail);
    this.status = status;
    this.kind = kind;
    this.faults = faults;
  }
}

export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  return await answer<T>(await send(path, { ...(signal ? { signal } : {}) }));
}

/** Does something; ``body`` is sent as JSON. */
export async function act<T>(path: string, body: unknown, method = "POST"): Promise<T> {
  return await answer<T>(await sendJson(path, body, method));
}

/** The same, for who reads the answer as it comes. */
export async function sendJson(path: string, body: unknown, method = "POST"): Promise<Response> {
  const headers = { "Content-Type": "application/json", "Flower-CSRF": session.value?.csrf ?? "" };
  return await send(path, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
}

export async function send(path: string, init: RequestInit): Promise<Response> {
  const sent = seenText();
  const headers = { ...init.headers, ...(sent !== null && { [HEADER]: sent }) };
  const reply = await fetch(path, { ...init, headers }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "away", "The API does not answer.");
  });
  sawText(sent, reply.headers.get(HEADER));
  if (reply.status === 401) forgetSession();
  return reply;
}

async function answer<T>(reply: Response): Promise<T> {
  if (!reply.ok) throw await problemOf(reply);
  return reply.status === 204 ? (undefined as T) : await reply.json();
}

export async function problemOf(reply: Response): Promise<Problem> {
  try {
    const told = await reply.json();
    const kind = String(told.type).replace("urn:flower:problem:", "");
    return new Problem(reply.status, kind, told.detail, told.problems ?? []);
  } catch {
    return new Problem(reply.status, "http", `The API answers ${reply.status}.`);
  }
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
