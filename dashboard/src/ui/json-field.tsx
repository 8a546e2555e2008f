// A value that somebody writes as JSON.
export interface Read {
  value: unknown;
  problem: string | null;
}

/** What a text says as JSON; nothing at all is no problem. */
export function readJson(text: string): Read {
  if (text.trim() === "") return { value: undefined, problem: null };
  try {
    return { value: JSON.parse(text), problem: null };
  } catch {
    return { value: undefined, problem: 'This is no JSON; a text stands in quotes: "text".' };
  }
}
