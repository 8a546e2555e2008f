/** The path of the API that leads to something of this name, whatever the name holds. */
export function pathTo(...parts: readonly (string | number)[]): string {
  return parts.map((part) => encodeURIComponent(String(part))).join("/");
}
