"""Whatever a client sends to flows that wait, decide and map: it is taken or refused, never a fault of the
server; and what was taken is projected, read back, and what both stores say of it agrees."""

from typing import Any

import pytest

from api.serving import RunningApi
from flower_engine.runtime.deciding import Decider

DEEP = 600
STRIDE = 4
VALUES = (
    "null",
    '"\\u0000"',
    '{"\\u0000": [1]}',
    '"\\ud800"',
    '{"\\udfff": "\\ud83d"}',
    '"\\ud834\\udd1e \\u202e \\u2028 \\u0085 \\ufffe"',
    "1e400",
    "-1e400",
    "1" + "0" * 5_000,
    "NaN",
    "-Infinity",
    "1" + "0" * 400,
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1." + "1" * 400,
    "-0.0",
    "5e-324",
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    "[" * 100_000 + "]" * 100_000,
    '{"a": 1, "a": 2, "": {}}',
    '{"$from": 1}',
    '{"$literal": {"$from": 1}}',
    '{"$blob": "x"}',
    '{"$param": "x"}',
    '"' + "x" * 65_533 + '"',
    "tru",
    "",
    "\ufeff1",
)
"""JSON texts, and what is none."""

CALLS = (
    ("signals", '{"name": "paid", "payload": %s}'),
    ("signals", '{"name": %s}'),
    ("signals", '{"name": "paid", "key": %s}'),
    ("signals", '{"name": "other", "id": %s}'),
    ("/signals", '{"name": "paid", "payload": %s}'),
    ("/signals", '{"name": "none", "key": "a b", "payload": %s, "keepSeconds": 60, "first": true}'),
    ("/signals", '{"name": "none", "keepSeconds": %s}'),
    ("tasks/2/answer", '{"answer": {"approved": true, "comment": %s}}'),
    ("tasks/2/answer", '{"answer": %s}'),
    ("tasks/2/answer", '{"answer": {"approved": true}, "attempt": %s}'),
    ("tasks/2/answer", '{"answer": {"approved": true}, "version": %s}'),
    ("tasks/2/links", '{"for": %s}'),
    ("tasks/2/links", '{"for": "ann", "expiresSeconds": %s}'),
    ("ignore", '{"tasks": [3], "result": %s}'),
    ("ignore", '{"tasks": [3], "result": 1, "reason": %s}'),
    ("ignore", '{"tasks": [%s]}'),
    ("unignore", '{"tasks": [3, %s]}'),
    ("rerun", '{"tasks": [%s], "scope": "changed"}'),
    ("rerun", '{"tasks": [3], "scope": %s}'),
    ("rerun", '{"tasks": [3], "scope": "changed", "taskParameters": {"3": {"x": %s}}}'),
    ("rerun", '{"tasks": [5], "scope": "changed", "taskParameters": {"5": {"over": %s}}}'),
    ("rerun", '{"tasks": [6], "taskParameters": {"6": {"condition": %s}}}'),
    ("rerun", '{"tasks": [6], "taskParameters": {"6": {"condition": ["gt", {"$from": 3}, %s]}}}'),
    ("rerun", '{"tasks": [1], "taskParameters": {"1": {"name": "paid", "timeout_seconds": %s}}}'),
    ("rerun", '{"tasks": [1], "taskParameters": {"1": {"name": "paid", "key": %s}}}'),
    ("rerun", '{"tasks": [2], "taskParameters": {"2": {"of": %s}}}'),
    ("fork", '{"fromTasks": [%s]}'),
    ("fork", '{"fromTasks": [3], "taskParameters": {"3": {"x": %s}}}'),
    ("fork", '{"workflowVersion": 1, "flowParameters": {"n": %s}}'),
    ("/bulk", '{"operation": "rerun", "scope": %s, "filter": {"workflow": "strange"}}'),
    ("/bulk", '{"operation": "rerun", "scope": "changed", "filter": {"workflow": %s}}'),
    ("/bulk", '{"operation": "pause", "filter": {"flows": [%s]}}'),
    ("/bulk", '{"operation": "priority", "priority": %s, "filter": {"workflow": "none"}}'),
    ("/register/strange", '{"parameters": {"n": %s}}'),
    ("/register/strange", '{"taskParameters": {"4": {"seconds": %s}}}'),
    ("/register/strange", '{"taskParameters": {"5": {"over": %s}}}'),
    ("/register/strange", '{"taskParameters": {"7": {"workflow": %s}}}'),
)


def define(api: RunningApi) -> None:
    """A workflow that waits for everything."""
    tasks: list[dict[str, Any]] = [
        {"program": "@event", "parameters": {"name": "paid"}},
        {"program": "@approval", "parameters": {"of": 3}},
        {},
        {"program": "@sleep", "parameters": {"seconds": 3_600}},
        {"program": "@map", "parameters": {"over": [1], "as": "n", "program": "A"}},
        {"program": "@when", "dependsOn": [3], "parameters": {"condition": ["gt", {"$from": 3}, 1]}},
        {"program": "@flow", "dependsOn": [3], "parameters": {"workflow": "leaf"}},
        {"dependsOn": [5], "parameters": {"all": {"$from": 5}}},
    ]
    api.define("leaf", {})
    api.define("strange", *({"dependsOn": [], **one} for one in tasks))


@pytest.mark.parametrize("root", ["signals", "/signals", "tasks", "ignore", "rerun", "fork", "/"])
async def test_strange_values_are_taken_or_refused(own_api: RunningApi, root: str) -> None:
    """Each call with some of the values, and each value in some of the calls."""
    define(own_api)
    calls = [(path, body) for path, body in CALLS if root_of(path) == root]
    assert calls
    async with own_api.engine() as engine:
        decider = Decider(engine.client, engine.partition, "test")
        for number, (path, body) in enumerate(calls):
            for value in VALUES[number % STRIDE :: STRIDE]:
                flow = own_api.register("strange")
                reply = own_api.client.post(
                    path if path.startswith("/") else f"/flows/{flow}/{path}",
                    content=(body % value).encode(),
                    headers={"Content-Type": "application/json"},
                )
                assert reply.status_code < 500, (
                    f"{body % value[:100]}: {reply.status_code} {reply.text[:500]}"
                )
            await decider.run_once()
        for claim in await engine.claim():
            await engine.finish(claim)
        await decider.run_once()
        await engine.check()
    await own_api.project()
    assert own_api.sql("SELECT error, event FROM kr_event WHERE error IS NOT NULL") == []
    for (found,) in own_api.sql("SELECT task_flow_id FROM kr_flow_stat"):
        for told in ("", "/events"):
            assert own_api.client.get(f"/flows/{found}{told}").status_code == 200


def root_of(path: str) -> str:
    """What calls are tried together."""
    if path.startswith("/"):
        return path if path == "/signals" else "/"
    return {"unignore": "ignore"}.get(path, path.partition("/")[0])
