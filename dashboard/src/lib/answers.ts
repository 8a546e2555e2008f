// What the API answers to a path, asked again now and then while somebody looks; and lists that come in pages.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask, isAborted, Problem } from "./api.ts";
import { standing } from "./events.ts";

export interface Answer<T> {
  value: T | null;
  problem: string | null;
  /** Asks again at once. */
  again: () => void;
}

interface Told<T> {
  path: string | null;
  value: T | null;
  problem: string | null;
}

const HIDDEN_MS = 1_000;

/** Null as path: nothing is asked. `everyMs` 0: only once. What was told of another path is shown no more. */
export function useAnswer<T>(path: string | null, everyMs = 0): Answer<T> {
  const told = useSignal<Told<T>>({ path: null, value: null, problem: null });
  const again = useRef<() => void>(() => undefined);
  useEffect(() => {
    if (path === null) return;
    const ending = new AbortController();
    let timer = 0;
    let asked = 0;
    const load = async () => {
      clearTimeout(timer);
      if (document.hidden && told.peek().path === path) {
        timer = window.setTimeout(load, HIDDEN_MS);
        return;
      }
      asked += 1;
      const mine = asked;
      let next: Told<T>;
      try {
        next = { path, value: await ask<T>(path, ending.signal), problem: null };
        standing.value = "live";
      } catch (error) {
        if (isAborted(error)) return;
        const before = told.peek();
        if (error instanceof Problem && error.status === 0) standing.value = "away";
        const isGone = error instanceof Problem && error.status === 404;
        next = {
          path,
          value: before.path === path && !isGone ? before.value : null,
          problem: wordsOf(error),
        };
      }
      if (mine !== asked || ending.signal.aborted) return; // a later question is under way
      told.value = next;
      if (everyMs > 0) timer = window.setTimeout(load, everyMs);
    };
    again.current = load;
    load();
    return () => {
      ending.abort();
      clearTimeout(timer);
      again.current = () => undefined;
    };
  }, [path, everyMs, told]);
  const { value, problem } = told.value.path === path ? told.value : { value: null, problem: null };
  return { value, problem, again: () => again.current() };
}

export interface Pages<T> {
  items: T[] | null;
  problem: string | null;
  /** Null: there are no more. */
  more: (() => void) | null;
  again: () => void;
}

interface Page {
  next?: string | number | null;
  [field: string]: unknown;
}

/** A list of pages; `field` holds the items of a page. The first page is asked for again every so often, until
    somebody wants more than that. */
export function usePages<T>(path: string, field: string, everyMs: number): Pages<T> {
  const later = useSignal<{ path: string; items: T[]; next: Page["next"] } | null>(null);
  const behind = later.value?.path === path ? later.value : null;
  const first = useAnswer<Page>(path, behind === null ? everyMs : 0);
  const problem = useSignal<string | null>(null);
  if (first.value === null) return { items: null, problem: first.problem, more: null, again: first.again };
  const next = behind === null ? first.value.next : behind.next;
  const more = async () => {
    const cursor = `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(String(next))}`;
    try {
      const page = await ask<Page>(path + cursor);
      later.value = {
        path,
        items: [...(behind?.items ?? []), ...(page[field] as T[])],
        next: page.next,
      };
      problem.value = null;
    } catch (error) {
      problem.value = wordsOf(error);
    }
  };
  return {
    items: [...(first.value[field] as T[]), ...(behind?.items ?? [])],
    problem: first.problem ?? problem.value,
    more: next === null || next === undefined ? null : more,
    again: () => {
      later.value = null;
      first.again();
    },
  };
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
