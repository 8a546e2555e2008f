// Flows that come while a list is shown take the places that the server would give them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newestFirst } from "../src/flows/flow-order.ts";

test("flows stand in the order of their times, however many digits of a second these have, and then of their ids", () => {
  const flows = [
    { registeredTs: "2026-03-01T10:00:29Z", taskFlowId: "b" },
    { registeredTs: "2026-03-01T10:00:29Z", taskFlowId: "a" },
    { registeredTs: "2026-03-01T10:00:28.51Z", taskFlowId: "c" },
    { registeredTs: "2026-03-01T10:00:28.505Z", taskFlowId: "d" },
    { registeredTs: "2026-03-01T10:00:28.5Z", taskFlowId: "e" },
    { registeredTs: "2026-03-01T10:00:28Z", taskFlowId: "f" },
  ];
  assert.deepEqual([...flows].reverse().sort(newestFirst), flows);
  assert.deepEqual([...flows].sort(newestFirst), flows);
});
