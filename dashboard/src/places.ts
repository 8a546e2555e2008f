// The screens beside a flow's, and where they are fetched from: those that are opened first come with the page.
import type { Loading } from "./ui/lazy-screen.tsx";

export interface Place {
  section: string;
  name: string;
  /** The second key of "g ?", which goes there. */
  key: string;
  /** Null: it came with the page. */
  load: Loading | null;
}

export const PLACES: readonly Place[] = [
  { section: "flows", name: "Flows", key: "f", load: null },
  { section: "errors", name: "Errors", key: "e", load: null },
  {
    section: "workflows",
    name: "Workflows",
    key: "w",
    load: async () => (await import("./workflows/workflows-screen.tsx")).WorkflowsScreen,
  },
];
