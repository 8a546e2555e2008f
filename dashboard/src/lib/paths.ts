/** The id of a flow as lists show it: ids of one moment begin alike. */
export function shortId(flow: string): string {
  return `${flow.slice(0, 8)}…${flow.slice(-4)}`;
}

/** The path of the API that leads to something of this name, whatever the name holds. */
export function pathTo(...parts: readonly (string | number)[]): string {
  return parts.map((part) => encodeURIComponent(String(part))).join("/");
}
