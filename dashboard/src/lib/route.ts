// Where the page is: all of its state is behind "#" in the address, so that a link shows what its sender saw.
import { signal } from "@preact/signals";

export interface Route {
  path: string[];
  query: URLSearchParams;
}

export const route = signal<Route>(read());

addEventListener("hashchange", () => {
  route.value = read();
});

function read(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export type Query = Record<string, string | number | readonly string[] | null>;

/** The address of a place; what is null or empty is left out. */
export function hrefOf(path: readonly string[], query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== "") params.append(name, String(one));
    }
  }
  const text = params.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text === "" ? "" : `?${text}`}`;
}

export function go(path: readonly string[], query: Query = {}): void {
  location.hash = hrefOf(path, query);
}

/** The address of this place with some of its query changed. */
export function withQuery(changes: Query): string {
  const { path, query } = route.value;
  const all: Record<string, string[]> = {};
  for (const [name, value] of query) all[name] = [...(all[name] ?? []), value];
  return hrefOf(path, { ...all, ...changes });
}

/** The same, without an entry in the browser's history: for what is looked through quickly. */
export function replaceQuery(changes: Query): void {
  history.replaceState(null, "", withQuery(changes));
  route.value = read();
}
