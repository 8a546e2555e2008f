// How a flow can be looked at, by the word in the address.
import type { ShownFlow } from "./shown-flow.ts";

export type ViewName = "graph" | "list" | "gantt" | "history" | "compare" | "tree" | "about";

export const VIEWS: [ViewName, string][] = [
  ["graph", "Graph"],
  ["list", "List"],
  ["gantt", "Gantt"],
  ["history", "History"],
  ["compare", "Compare"],
  ["tree", "Tree"],
  ["about", "About"],
];

/** Those that make sense for a flow. */
export function viewsOf(flow: ShownFlow): [ViewName, string][] {
  return flow.isInTree ? VIEWS : VIEWS.filter(([name]) => name !== "tree");
}
