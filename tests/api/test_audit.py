"""``GET /audit``: who did what and when; whatever changes something is in it, in the name of its token."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.serving import RunningApi, details, moment
from flower_engine.client import Client
from flower_engine.log.client import connect as connect_redis
from flower_engine.projection.database import connect
from flower_engine.projection.read.acts import EVENTS, GROUPS, ActFilter, list_acts
from flower_engine.runtime.adding_partitions import add_partitions
from flower_engine.runtime.deciding import Decider

ASKED: dict[str, Any] = {"program": "@approval", "taskName": "ok", "dependsOn": []}
HOOK: dict[str, Any] = {
    "occasions": ["flow.failed"], "kind": "webhook", "target": "https://example.com/x",
}  # fmt: skip
NOT_OF_PEOPLE = {
    "put /blobs/{sha256}": "a program's result",
    "post /blobs/{sha256}/touch": "a program's result",
    "post /schedule-preview": "it changes nothing",
}
"""Calls that change nothing that anybody would ask about."""


def acts(api: RunningApi, **asked: Any) -> list[dict[str, Any]]:
    reply = api.client.get("/audit", params=asked)
    assert reply.status_code == 200, reply.text
    return reply.json()["acts"]


def done(api: RunningApi, **asked: Any) -> list[tuple[str, str | None]]:
    """What was done to what, the newest first."""
    return [(one["act"], one["name"]) for one in acts(api, **asked)]


class Doing:
    """Makes one call after the other as somebody, and says which acts it came to."""

    def __init__(self, api: RunningApi) -> None:
        self.api = api
        self.called: set[str] = set()

    async def __call__(
        self, call: str, path: str, body: Any = None, **sent: Any
    ) -> list[tuple[str, str | None]]:
        before = len(acts(self.api, limit=1_000))
        method = call.partition(" ")[0]
        reply = self.api.client.request(method.upper(), path, json=body, **sent)
        assert reply.status_code < 300, (call, reply.text)
        self.reply = reply
        self.called.add(call)
        await self.api.project()
        found = acts(self.api, limit=1_000)
        new = found[: len(found) - before]
        assert {one["by"] for one in new} <= {"alice"}, new
        return [(one["act"], one["name"]) for one in new]


@pytest.fixture
def guarded(start_api: Callable[..., RunningApi]) -> RunningApi:
    api = start_api(
        api_tokens="alice:s3cret-token:operator:links,bob:other-token", host="127.0.0.1", link_secret="a" * 20
    )
    api.client.headers["Authorization"] = "Bearer s3cret-token"
    return api


TASK = {"taskSeq": 1, "program": "A"}
REGISTERED = [("flow.registered", None)]


async def _to_workflows(do: Doing) -> None:
    put = "put /workflows/{task_id}"
    assert await do(put, "/workflows/w", {"tasks": [TASK]}) == [("workflow.added", "w")]
    two = [TASK, {**TASK, "taskSeq": 2}]
    assert await do(put, "/workflows/w", {"tasks": two}) == [("workflow.changed", "w")]
    old = {"tasks": [TASK], "description": "x"}
    assert await do(put, "/workflows/old", old) == [("workflow.added", "old")]
    assert await do("delete /workflows/{task_id}", "/workflows/old") == [("workflow.deleted", "old")]
    assert await do(put, "/workflows/p", {"tasks": [{**ASKED, "taskSeq": 1}]}) == [("workflow.added", "p")]


async def _to_flows(do: Doing) -> None:
    assert await do("post /register/{task_id}", "/register/w") == REGISTERED
    flow = do.reply.json()["taskFlowId"]
    assert await do("post /register", "/register", [{"taskId": "w"}] * 2) == REGISTERED * 2
    operations: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("pause", {}, "flow.paused"),
        ("resume", {}, "flow.resumed"),
        ("priority", {"priority": 3}, "flow.prioritised"),
        ("ignore", {"tasks": [2]}, "task.ignored"),
        ("unignore", {"tasks": [2]}, "task.unignored"),
        ("cancel", {"reason": "no"}, "flow.cancelled"),
        ("rerun", {"tasks": [1, 2]}, "flow.rerun"),
        ("ignore", {"tasks": [1, 2]}, "tasks.ignored"),
        ("rerun", {"tasks": [1]}, "flow.rerun"),
    )
    for word, body, act in operations:
        assert await do(f"post /flows/{{task_flow_id}}/{word}", f"/flows/{flow}/{word}", body) == [
            (act, None)
        ]
    assert (
        await do("post /flows/{task_flow_id}/fork", f"/flows/{flow}/fork", {"fromTasks": [1]}) == REGISTERED
    )
    signals = f"/flows/{flow}/signals"
    assert await do("post /flows/{task_flow_id}/signals", signals, {"name": "go"}) == [
        ("flow.signalled", "go")
    ]
    kept = {"name": "later", "keepSeconds": 60}
    assert await do("post /signals", "/signals", kept) == [("signal.added", "later")]
    identity = do.reply.json()["id"]
    assert await do("delete /signals/{signal}", f"/signals/{identity}") == [("signal.deleted", "later")]
    assert await do("post /bulk", "/bulk", {"operation": "pause", "filter": {"taskId": "w"}}) == [
        *[("flow.paused", None)] * 4,
        ("bulk.pause", None),
    ]


async def _to_approvals(do: Doing) -> None:
    await do("post /register/{task_id}", "/register/p")
    path = f"/flows/{do.reply.json()['taskFlowId']}/tasks/ok"
    call = "post /flows/{task_flow_id}/tasks/{task}/"
    assert await do(f"{call}links", f"{path}/links", {"for": "ann"}) == [("link.made", "ann")]
    yes = {"answer": {"approved": True}}
    assert await do(f"{call}answer", f"{path}/answer", yes) == [("task.answered", None)]


async def _to_limits(do: Doing) -> None:
    for path, name in (("/limits/global", "global"), ("/limits/workflow/w", "workflow w")):
        call = path if name == "global" else "/limits/{scope}/{name}"
        assert await do(f"put {call}", path, {"maxRunning": 3}) == [("limit.added", name)]
        assert await do(f"put {call}", path, {"maxRunning": 4}) == [("limit.changed", name)]
        assert acts(do.api, limit=1)[0]["details"] == {"max_running": [3, 4]}
        paused = {"maxRunning": 4, "isPaused": True, "reason": "the move"}
        assert await do(f"put {call}", path, paused) == [("limit.paused", name)]
        assert acts(do.api, limit=1)[0]["reason"] == "the move"
        assert await do(f"delete {call}", path) == [("limit.deleted", name)]
    order = {"program": "A", "parameter": "x", "value": 1}
    struck = await do("post /strikes", "/strikes", order)
    identity = do.reply.json()["id"]
    assert struck == [("strike.added", identity)]
    assert await do("delete /strikes/{strike_id}", f"/strikes/{identity}") == [("strike.deleted", identity)]


async def _to_schedules(do: Doing) -> None:
    body = {"taskId": "w", "cron": "0 3 * * *"}
    assert await do("post /schedules", "/schedules", {"schedule": "s", **body}) == [("schedule.added", "s")]
    later = {**body, "cron": "0 4 * * *"}
    assert await do("put /schedules/{schedule}", "/schedules/s", later) == [("schedule.changed", "s")]
    (changed,) = acts(do.api, limit=1)
    assert (changed["details"], changed["taskId"]) == ({"cron": ["0 3 * * *", "0 4 * * *"]}, "w")
    for word in ("pause", "resume"):
        call = f"post /schedules/{{schedule}}/{word}"
        assert await do(call, f"/schedules/s/{word}", {}) == [(f"schedule.{word}d", "s")]
    assert await do("post /schedules/{schedule}/trigger", "/schedules/s/trigger") == REGISTERED
    range_ = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    made = await do("post /schedules/{schedule}/backfills", "/schedules/s/backfills", range_)
    backfill = do.reply.json()["id"]
    assert made == [("backfill.added", f"s {backfill}")]
    for word, act in (("pause", "paused"), ("resume", "resumed"), ("cancel", "cancelled")):
        assert await do(f"post /backfills/{{id}}/{word}", f"/backfills/{backfill}/{word}", {}) == [
            (f"backfill.{act}", f"s {backfill}")
        ]
    assert await do("delete /schedules/{schedule}", "/schedules/s") == [("schedule.deleted", "s")]


async def _to_hooks(do: Doing) -> None:
    assert await do("put /hooks/{hook}", "/hooks/h", HOOK) == [("hook.added", "h")]
    elsewhere = {**HOOK, "target": "https://example.com/secret"}
    assert await do("put /hooks/{hook}", "/hooks/h", elsewhere) == [("hook.changed", "h")]
    assert acts(do.api, limit=1)[0]["details"] == {"target": None}
    assert await do("post /hooks/{hook}/test", "/hooks/h/test") == [("hook.tried", "h")]
    delivery = do.reply.json()["id"]
    call = "post /hook-deliveries/{id}/redeliver"
    assert await do(call, f"/hook-deliveries/{delivery}/redeliver") == [("hook.told_again", "h")]
    assert await do("delete /hooks/{hook}", "/hooks/h") == [("hook.deleted", "h")]


async def _to_deploys(do: Doing) -> None:
    deploy = {
        "source": "git",
        "workflows": [{"taskId": "d", "tasks": [TASK]}],
        "schedules": [{"schedule": "nightly", "taskId": "d", "cron": "0 3 * * *"}],
    }
    assert await do("post /deploy", "/deploy", deploy) == [
        ("schedule.added", "nightly"),
        ("workflow.added", "d"),
    ]
    assert await do("post /deploy", "/deploy", deploy) == []


async def _to_partitions(do: Doing) -> None:
    settings = do.api.settings
    async with (
        connect_redis(settings.redis_url or "") as client,
        await connect(settings.database_url or "", "test") as connection,
    ):
        await add_partitions(client, connection, 1)
    for word, act in (("retire", "retiring"), ("keep", "kept")):
        call = f"post /partitions/{{number}}/{word}"
        assert await do(call, f"/partitions/1/{word}") == [(f"partition.{act}", "1")]


async def test_whatever_changes_something_is_told_with_the_name_of_its_token(guarded: RunningApi) -> None:
    do = Doing(guarded)
    parts = (_to_workflows, _to_flows, _to_approvals, _to_limits, _to_schedules, _to_hooks, _to_deploys)
    for part in (*parts, _to_partitions):
        await part(do)
    paths = guarded.client.get("/openapi.json").json()["paths"]
    changing = {
        f"{method} {path}" for path, ways in paths.items() for method in ways if method not in ("get", "head")
    }
    assert changing - do.called - NOT_OF_PEOPLE.keys() == set()


def test_sessions_are_told(guarded: RunningApi) -> None:
    with httpx.Client(base_url=guarded.url, timeout=60, verify=False) as browser:
        assert browser.post("/login", json={"token": "no"}).status_code == 401
        assert browser.post("/login", json={"token": "other-token"}).status_code == 200
        browser.post("/logout")
    assert [(one["by"], one["act"]) for one in acts(guarded, what=["session"])] == [
        ("bob", "session.ended"),
        ("bob", "session.began"),
    ]


def test_whoever_uses_sql_is_told_too(own_api: RunningApi) -> None:
    own_api.sql("INSERT INTO ms_flow_control (scope, name, max_running) VALUES ('queue', 'q', 3)")
    own_api.sql("UPDATE ms_flow_control SET max_running = 3")
    task = (
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority) VALUES ('w', {}, 'A', 1)"
    )
    own_api.sql(task.format(1))
    own_api.sql("UPDATE ms_task_definition SET program = 'B'")
    own_api.sql(task.format(2))
    own_api.sql("DELETE FROM ms_task_definition WHERE task_seq = 1")
    own_api.sql("DELETE FROM ms_task_definition")
    assert done(own_api) == [
        ("workflow.deleted", "w"),
        *[("workflow.changed", "w")] * 3,
        ("workflow.added", "w"),
        ("limit.added", "queue q"),
    ]
    (role,) = {one["by"] for one in acts(own_api)}
    assert role == f"sql:{own_api.sql('SELECT session_user')[0][0]}"


def test_each_act_that_a_list_may_show_may_be_asked_for(api: RunningApi) -> None:
    for act in (*EVENTS, *GROUPS):
        assert api.client.get("/audit", params={"what": act}).status_code == 200, act


async def test_a_list_is_filtered_and_read_page_by_page(own_api: RunningApi) -> None:
    flows: list[str] = []
    for name in ("one", "two"):
        own_api.define(name, {})
        flows += [own_api.register(name) for _ in range(3)]
    own_api.client.post(
        f"/flows/{flows[0]}/cancel", json={"reason": "no need"}, headers={"flower-client": "cli"}
    )
    own_api.client.put("/limits/workflow/two", json={"maxRunning": 1})
    await own_api.project()
    whole = acts(own_api)
    assert len(whole) == 10
    assert whole == sorted(whole, key=lambda one: moment(one["at"]), reverse=True)
    for limit in (1, 2, 3, 9, 10):
        read: list[dict[str, Any]] = []
        cursor = None
        while True:
            asked = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
            page = own_api.client.get("/audit", params=asked).json()
            assert len(page["acts"]) <= limit
            read += page["acts"]
            cursor = page["next"]
            if cursor is None:
                break
        assert read == whole
    (cancelled,) = acts(own_api, by="cli")
    assert (cancelled["act"], cancelled["taskFlowId"], cancelled["taskId"], cancelled["tasks"]) == (
        "flow.cancelled",
        flows[0],
        "one",
        1,
    )
    assert cancelled["reason"] == "no need"
    assert [one["act"] for one in acts(own_api, taskFlowId=flows[0].upper())] == [
        "flow.cancelled",
        "flow.registered",
    ]
    assert done(own_api, taskId="two") == [
        ("limit.added", "workflow two"),
        *[("flow.registered", None)] * 3,
        ("workflow.added", "two"),
    ]
    assert len(acts(own_api, taskId="two", limit=1)) == 1
    assert done(own_api, what=["limit", "flow.cancelled"]) == [
        ("limit.added", "workflow two"),
        ("flow.cancelled", None),
    ]
    first, last = whole[-1]["at"], whole[0]["at"]
    assert acts(own_api, until=first) == []
    assert acts(own_api, since=last) == whole[:1]
    with Client(own_api.url) as client:
        assert [act.act for act in client.audit(what=["limit"])] == ["limit.added"]
        assert len(list(client.audit(limit=3))) == 3


async def test_what_decides_a_map_is_nobody_who_did_something(own_api: RunningApi) -> None:
    over = {"over": {"$from": "files"}, "program": "A", "as": "file"}
    files: dict[str, Any] = {"taskName": "files", "program": "A", "dependsOn": []}
    own_api.define("mapping", files, {"program": "@map", "dependsOn": ["files"], "parameters": over})
    flow = own_api.register("mapping")
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        (claim,) = await engine.claim()
        await engine.finish(claim, payload=b"[1, 2]")
        decider = Decider(engine.client, engine.partition, "w1")
        await decider.run_once()
        await engine.work_off()
        await decider.run_once()
    assert own_api.flow(flow)["status"] == "Finish"
    await own_api.project()
    assert [one["act"] for one in acts(own_api, taskFlowId=flow)] == ["flow.registered"]


async def test_what_the_engine_does_by_itself_is_not_told(own_api: RunningApi) -> None:
    nap: dict[str, Any] = {
        "program": "@sleep",
        "taskName": "nap",
        "parameters": {"seconds": 0.01},
        "dependsOn": [],
    }
    own_api.define("naps", nap)
    flow = own_api.register("naps")
    async with own_api.engine() as engine:
        while own_api.flow(flow)["status"] != "Finish":
            await engine.fire()
    await own_api.project()
    assert [one["act"] for one in acts(own_api, taskFlowId=flow)] == ["flow.registered"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"what": "flow.started"}, "flow.started"),
        ({"what": "nothing"}, "schedule"),
        ({"cursor": "x"}, "cursor"),
        ({"by": "\0"}, "by"),
        ({"since": "yesterday"}, "since"),
        ({"taskFlowId": "last"}, "taskFlowId"),
    ],
)
def test_what_makes_no_sense_is_refused(api: RunningApi, asked: dict[str, str], said: str) -> None:
    reply = api.client.get("/audit", params=asked)
    assert reply.status_code == 422
    assert said in " ".join(details(reply))


async def test_a_page_is_read_by_the_indices_that_hold_acts_alone(own_api: RunningApi) -> None:
    own_api.sql("INSERT INTO kr_event (partition, position_ms, position_seq, task_flow_id, type, event)"
        " SELECT 0, n, 0, 'f' || n, CASE WHEN mod(n, 1000) = 0 THEN 'flow.cancelled' ELSE 'task.started' END,"
        " '{\"by\": \"ann\"}' FROM generate_series(1, 20000) AS n")  # fmt: skip
    own_api.sql("ANALYZE kr_event")
    read = (
        "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname ~ '^kr_event'"
    )
    async with await connect(own_api.settings.database_url or "", "test") as connection:
        for asked in (ActFilter(), ActFilter(by="ann"), ActFilter(what=("flow.cancelled",))):
            async with connection.transaction():
                await connection.execute("SET LOCAL enable_seqscan = off")
                found, _ = await list_acts(connection, asked, behind=None, limit=5)
                assert len(found) == 5
                ((rows,),) = await (await connection.execute(read)).fetchall()
                assert 5 <= rows <= 50
    assert json.loads(own_api.client.get("/audit", params={"limit": 1}).text)["acts"][0]["by"] == "ann"
