// How far this page has seen, for an API that reads from a replica: answers say it, and the next question brings it
// along, so that no answer is older than one before it. An API without a replica says nothing.
export const HEADER = "Flower-Seen";

interface Seen {
  system: string;
  wal: bigint;
  log: Map<string, string>; // position by partition
  isAnything: boolean;
}

const NOTHING: Seen = { system: "", wal: 0n, log: new Map(), isAnything: false };
let seen = NOTHING;

/** What to send along; null: nothing was said yet. */
export function seenText(): string | null {
  return seen === NOTHING ? null : write(seen);
}

/** Takes what came for a question that brought `sent` along. What others were told meanwhile holds, too; what the
    answer leaves out of what was sent is settled. */
export function sawText(sent: string | null, came: string | null): void {
  const answer = came === null ? null : read(came);
  if (answer === null) return;
  const asked = (sent === null ? null : read(sent)) ?? NOTHING;
  for (const [partition, position] of seen.log)
    if (asked.log.get(partition) !== position)
      answer.log.set(partition, later(position, answer.log.get(partition)));
  if (seen.system === answer.system && seen.wal > answer.wal) answer.wal = seen.wal;
  if (seen.isAnything && !asked.isAnything) answer.isAnything = true;
  seen = answer;
}

function read(text: string): Seen | null {
  const [system, wal, log] = text.split(".");
  if (system === undefined || wal === undefined || log === undefined || !/^\d+$/.test(wal)) return null;
  const known: Seen = { system, wal: BigInt(wal), log: new Map(), isAnything: log === "*" };
  for (const part of log === "" || log === "*" ? [] : log.split(",")) {
    const [partition, position] = part.split(":");
    if (partition !== undefined && position !== undefined) known.log.set(partition, position);
  }
  return known;
}

function write(what: Seen): string {
  const log = [...what.log].map(([partition, position]) => `${partition}:${position}`).join(",");
  return `${what.system}.${what.wal}.${what.isAnything ? "*" : log}`;
}

function later(one: string, other: string | undefined): string {
  if (other === undefined) return one;
  const [ms, number] = one.split("-").map(BigInt);
  const [otherMs, otherNumber] = other.split("-").map(BigInt);
  if (ms === otherMs) return (number ?? 0n) > (otherNumber ?? 0n) ? one : other;
  return (ms ?? 0n) > (otherMs ?? 0n) ? one : other;
}
