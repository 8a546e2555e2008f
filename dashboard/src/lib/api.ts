// Calls of the API; errors are its problems (RFC 9457).
import { forgetSession, session } from "./session.ts";

export class Problem extends Error {
  readonly status: number;
  readonly kind: string;

  constructor(status: number, kind: string, detail: string) {
    super(detail);
    this.status = status;
    this.kind = kind;
  }
}

export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  return await answer<T>(await send(path, { ...(signal ? { signal } : {}) }));
}

/** Does something; ``body`` is sent as JSON. */
export async function act<T>(path: string, body: unknown, method = "POST"): Promise<T> {
  const headers = { "Content-Type": "application/json", "Flower-CSRF": session.value?.csrf ?? "" };
  return await answer<T>(await send(path, { method, headers, body: JSON.stringify(body) }));
}

export async function send(path: string, init: RequestInit): Promise<Response> {
  const reply = await fetch(path, init).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "away", "The API does not answer.");
  });
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
    return new Problem(reply.status, String(told.type).replace("urn:flower:problem:", ""), told.detail);
  } catch {
    return new Problem(reply.status, "http", `The API answers ${reply.status}.`);
  }
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
