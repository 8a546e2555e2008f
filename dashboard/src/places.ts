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
  {
    section: "schedules",
    name: "Schedules",
    key: "c",
    load: async () => (await import("./schedules/schedules-screen.tsx")).SchedulesScreen,
  },
  {
    section: "approvals",
    name: "Approvals",
    key: "a",
    load: async () => (await import("./approvals/approvals-screen.tsx")).ApprovalsScreen,
  },
  {
    section: "workers",
    name: "Workers",
    key: "o",
    load: async () => (await import("./workers/workers-screen.tsx")).WorkersScreen,
  },
  {
    section: "limits",
    name: "Limits",
    key: "l",
    load: async () => (await import("./limits/limits-screen.tsx")).LimitsScreen,
  },
  {
    section: "hooks",
    name: "Hooks",
    key: "h",
    load: async () => (await import("./hooks/hooks-screen.tsx")).HooksScreen,
  },
  {
    section: "audit",
    name: "Audit",
    key: "u",
    load: async () => (await import("./audit/audit-screen.tsx")).AuditScreen,
  },
];
