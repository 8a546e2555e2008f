// Who looks: asked once, and again where a call is refused.
import { signal } from "@preact/signals";

export interface Session {
  needsToken: boolean;
  isKnown: boolean;
  mayOperate: boolean;
  name: string | null;
  csrf: string | null;
}

export const session = signal<Session | null>(null);

export async function loadSession(): Promise<void> {
  const reply = await fetch("session", { headers: { Accept: "application/json" } });
  if (reply.ok) session.value = await reply.json();
}

/** Begins a session; the sentence that says why not, if it does not. */
export async function logIn(token: string): Promise<string | null> {
  const reply = await fetch("login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  const told = await reply.json();
  if (!reply.ok) return told.detail ?? `the API answers ${reply.status}`;
  session.value = told;
  return null;
}

export async function logOut(): Promise<void> {
  await fetch("logout", { method: "POST" });
  await loadSession();
}

/** The session is over: whoever looks is asked for a token, and stays where he is. */
export function forgetSession(): void {
  const known = session.value;
  if (known?.isKnown)
    session.value = { ...known, needsToken: true, isKnown: false, mayOperate: false, csrf: null };
}
