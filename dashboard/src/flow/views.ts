// How a flow can be looked at, by the word in the address.
export type ViewName = "graph" | "list" | "gantt" | "history" | "compare";

export const VIEWS: [ViewName, string][] = [
  ["graph", "Graph"],
  ["list", "List"],
  ["gantt", "Gantt"],
  ["history", "History"],
  ["compare", "Compare"],
];
