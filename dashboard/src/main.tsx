import "./theme.css";
import "./screens.css";
import "./rows.css";
import "./ui/panes.css";
import "./ui/json-view.css";
import "./schema/forms.css";
import "./flows/flows.css";
import "./errors/errors.css";
import "./flow/flow-head.css";
import "./flow/graph.css";
import "./flow/task-list.css";
import "./flow/task-log.css";
import "./flow/task-pane.css";
import "./flow/flow.css";
import "./flow/trees.css";
import "./schedules/schedules.css";
import "./workflows/workflows.css";
import "./audit/audit.css";
import "uplot/dist/uPlot.min.css"; // of a part that is loaded later, whose styles are not
import { render } from "preact";
import { App } from "./app.tsx";
import { loadSession } from "./lib/session.ts";

const root = document.getElementById("app");
if (root !== null) {
  render(<App />, root);
  loadSession().catch(() => setTimeout(() => location.reload(), 3_000));
}
