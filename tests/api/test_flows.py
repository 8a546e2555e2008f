"""GET /flows: what became of flows, before and after they are projected."""

from typing import Any

import pytest

from api.serving import RunningApi, details, moment
from flower_engine.log.client import send
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.values.ids import make_flow_id
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import AN_ERROR

_MOMENT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"


def _define_diamond(api: RunningApi, workflow: str) -> None:
    """1, then 2 and 3, then 4."""
    api.define(workflow, {"parameters": {"K": "V", "N": 1}}, {}, {"dependsOn": [1]}, {"dependsOn": [2, 3]})


def _statuses(flow: dict[str, Any]) -> list[str]:
    return [task["status"] for task in flow["tasks"]]


async def _run_first_fail_second(api: RunningApi, workflow: str) -> str:
    """A flow whose task 1 is finished, 2 failed, 3 runs, 4 waits."""
    flow_id = api.register(workflow)
    async with api.engine() as engine:
        await engine.attend("default")
        engine.programs = {"A"}
        (first,) = [claim for claim in await engine.claim(100) if claim.flow == flow_id]
        await engine.finish(first, payload=b'{"rows":12345678901234567890123}')
        claims = {claim.task: claim for claim in await engine.claim(100)}
        await engine.suspend(
            claims[2],
            payload=b'{"type":"ValueError","message":"no such thing","traceback":"line 1\\nline 2"}',
        )
    return flow_id


def test_a_flow_is_found_as_soon_as_its_registration_was_acknowledged(own_api: RunningApi) -> None:
    _define_diamond(own_api, "new")
    flow = own_api.flow(own_api.register("new"))
    assert (flow["taskId"], flow["status"], flow["execStatus"], flow["taskCount"]) == ("new", "Wait", 0, 4)
    first = flow["tasks"][0]
    assert (first["taskExecSeq"], first["taskSeq"], first["program"]) == (1, 1, "A")
    assert (first["attempt"], first["worker"], first["result"], first["error"]) == (0, None, None, None)
    assert first["parameters"] == {"K": "V", "N": 1}
    assert [task["dependsOn"] for task in flow["tasks"]] == [[], [1], [1], [2, 3]]


async def test_the_view_is_the_same_before_and_after_the_projection(own_api: RunningApi) -> None:
    _define_diamond(own_api, "same")
    flow_id = await _run_first_fail_second(own_api, "same")
    before = own_api.flow(flow_id)
    await own_api.project()
    after = own_api.flow(flow_id)
    assert before == after
    assert _statuses(after) == ["Finish", "Suspend", "Running", "Wait"]
    assert (after["status"], after["execStatus"], after["version"]) == ("Suspend", 2, 6)


async def test_a_failed_task_is_named_first_with_its_error(own_api: RunningApi) -> None:
    _define_diamond(own_api, "failing")
    flow_id = await _run_first_fail_second(own_api, "failing")
    await own_api.project()
    text = own_api.client.get(f"/flows/{flow_id}").text
    assert text.index('"failedTasks"') < text.index('"tasks"')
    flow = own_api.flow(flow_id)
    error = {"type": "ValueError", "message": "no such thing", "traceback": "line 1\nline 2"}
    (failed,) = flow["failedTasks"]
    (attempt,) = failed.pop("attempts")
    what = {
        "taskExecSeq": 2,
        "taskSeq": 2,
        "taskName": None,
        "program": "A",
        "itemOf": None,
        "itemIndex": None,
        "itemKey": None,
    }
    assert failed == {**what, "attempt": 1, "error": error}
    assert (attempt["attempt"], attempt["worker"], attempt["how"]) == (1, "w1", "failed")
    assert attempt["error"] == error
    first, second, third, _ = flow["tasks"]
    assert (first["result"], first["worker"], first["attempt"]) == (
        {"rows": 12345678901234567890123},
        "w1",
        1,
    )
    assert second["error"] == error
    for task, names in (
        (first, ("started", "finished")),
        (second, ("started", "suspended")),
        (third, ("started",)),
    ):
        times = {name: task[f"{name}Ts"] for name in ("registered", "started", "finished", "suspended")}
        assert {name for name, at in times.items() if at} == {"registered", *names}
        assert all(at.endswith("Z") for at in times.values() if at)


async def test_a_waiting_task_says_why(own_api: RunningApi) -> None:
    own_api.define(
        "why",
        {},
        {"program": "Rare", "dependsOn": []},
        {"dependsOn": [1, 2]},
        {"queue": "slow", "dependsOn": []},
    )
    flow_id = own_api.register("why")

    def reasons() -> list[Any]:
        return [task["waitReason"] for task in own_api.flow(flow_id)["tasks"]]

    open_ones = {"reason": "dependencies", "dependsOn": [1, 2]}

    def no_worker(program: str, queue: str, *, is_queue_served: bool) -> dict[str, Any]:
        return {"reason": "noWorker", "program": program, "queue": queue, "isQueueServed": is_queue_served}

    unserved = no_worker("A", "default", is_queue_served=False)
    rare = no_worker("Rare", "default", is_queue_served=False)
    slow = no_worker("A", "slow", is_queue_served=False)
    assert reasons() == [unserved, rare, open_ones, slow]

    async with own_api.engine() as engine:
        await engine.attend("default")
        engine.heartbeat("w1")
        rare = no_worker("Rare", "default", is_queue_served=True)
        assert reasons() == [{"reason": "ready"}, rare, open_ones, slow]
        await engine.finish(*await engine.claim(programs=("A",)))
    assert reasons() == [None, rare, {"reason": "dependencies", "dependsOn": [2]}, slow]
    await own_api.project()
    assert reasons() == [None, rare, {"reason": "dependencies", "dependsOn": [2]}, slow]
    assert [worker["worker"] for worker in own_api.client.get("/workers").json()["workers"]] == ["w1"]


async def test_a_task_that_no_worker_can_start_says_why(own_api: RunningApi) -> None:
    own_api.define("unable", {})
    flow_id = own_api.register("unable")
    async with own_api.engine() as engine:
        await engine.attend("default")
        engine.heartbeat("w1", unable={"A": "no memory"})
        (reason,) = (task["waitReason"] for task in own_api.flow(flow_id)["tasks"])
        assert reason == {
            "reason": "cannotStart",
            "program": "A",
            "queue": "default",
            "worker": "w1",
            "detail": "no memory",
        }
        (worker,) = own_api.client.get("/workers").json()["workers"]
        assert worker["unable"] == {"A": "no memory"}
        engine.heartbeat("w2")
        (reason,) = (task["waitReason"] for task in own_api.flow(flow_id)["tasks"])
        assert reason == {"reason": "ready"}


async def test_a_task_that_every_live_version_refused_says_so(own_api: RunningApi) -> None:
    own_api.define("rolling", {})
    flow_id = own_api.register("rolling")
    async with own_api.engine() as engine:
        engine.heartbeat("w1", signatures="old")
        engine.heartbeat("w2", signatures="new")
        (claim,) = await engine.claim(worker="w1")
        refusal = Outcome(claim, OutcomeKind.UNFIT, AN_ERROR, unfit=("old",), others=("new",))
        await engine.exchange("w1", outcomes=[refusal], version="old")
        (reason,) = (task["waitReason"] for task in own_api.flow(flow_id)["tasks"])
        assert reason == {"reason": "ready"}
        engine.heartbeat("w2", programs=["B"])  # the worker of the other version is no more
        (reason,) = (task["waitReason"] for task in own_api.flow(flow_id)["tasks"])
        assert reason == {"reason": "noVersion", "program": "A", "queue": "default"}


@pytest.mark.parametrize(
    "flow_id",
    [
        "nonsense",
        "%00",
        "a/b",
        "0" * 36,
        make_flow_id(0, 0, 1),
        make_flow_id(2**48 - 1, 0, 1),
        make_flow_id(0, 7, 1),
    ],
)
def test_a_flow_that_never_was_is_not_found(api: RunningApi, flow_id: str) -> None:
    for path in (f"/flows/{flow_id}", f"/flows/{flow_id}/events"):
        reply = api.client.get(path)
        assert reply.status_code == 404
        details(reply)


def test_an_id_may_be_written_in_capitals(api: RunningApi) -> None:
    api.define("capitals", {})
    flow_id = api.register("capitals")
    assert api.flow(flow_id.upper())["taskFlowId"] == flow_id
    assert api.client.get(f"/flows/{flow_id.upper()}/events").json()["taskFlowId"] == flow_id


async def test_a_flow_is_found_whatever_of_the_log_is_projected_and_trimmed(own_api: RunningApi) -> None:
    own_api.define("many", {})
    entries = own_api.client.post("/register", json=[{"taskId": "many"}] * 1_000).json()
    flows = [entry["taskFlowId"] for entry in entries]
    await own_api.project()
    late = own_api.client.post("/register", json=[{"taskId": "many"}] * 1_000).json()
    flows += [entry["taskFlowId"] for entry in late]
    late = own_api.client.post("/register", json=[{"taskId": "many"}] * 1_000).json()
    flows += [entry["taskFlowId"] for entry in late]
    async with own_api.engine() as engine:
        await send(engine.client, "XTRIM", engine.keys.log, "MAXLEN", 2_001)
    for flow_id in (flows[0], flows[999], flows[1_000], flows[1_500], flows[-1]):
        assert own_api.flow(flow_id)["taskFlowId"] == flow_id
        events = own_api.client.get(f"/flows/{flow_id}/events").json()["events"]
        assert [event["event"]["type"] for event in events] == ["flow.registered"]


async def test_flows_are_listed_newest_first_page_by_page(own_api: RunningApi) -> None:
    own_api.define("listed", {})
    own_api.define("other", {})
    names = ["listed", "other"] * 5
    flows = [own_api.register(name) for name in names]
    await own_api.project()

    def pages(limit: int, **filters: Any) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            asked = {"limit": limit, **filters, **({"cursor": cursor} if cursor else {})}
            page = own_api.client.get("/flows", params=asked).json()
            assert len(page["flows"]) <= limit
            found += (flow["taskFlowId"] for flow in page["flows"])
            cursor = page["next"]
            if cursor is None:
                return found

    listed = own_api.client.get("/flows").json()["flows"]
    assert {flow["taskFlowId"] for flow in listed} == set(flows)
    order = [flow["taskFlowId"] for flow in listed]
    times = [moment(flow["registeredTs"]) for flow in listed]
    assert times == sorted(times, reverse=True)
    for limit in (1, 3, 10, 1_000):
        assert pages(limit) == order
    assert pages(2, taskId="other") == [flow for flow in order if flow in flows[1::2]]
    assert pages(2, taskId="nobody") == []


async def test_flows_are_filtered_by_status_and_time(own_api: RunningApi) -> None:
    _define_diamond(own_api, "failing")
    own_api.define("idle", {"program": "Rare"})
    idle = own_api.register("idle")
    failed = await _run_first_fail_second(own_api, "failing")
    await own_api.project()

    def found(**filters: Any) -> list[str]:
        reply = own_api.client.get("/flows", params=filters)
        assert reply.status_code == 200, reply.text
        return [flow["taskFlowId"] for flow in reply.json()["flows"]]

    assert found(status="Suspend") == found(status="2") == found(status="suspend") == [failed]
    assert found(status="Wait", taskId="idle") == [idle]
    assert found(status=["0", "Suspend"]) == [failed, idle]
    assert found(status="Finish") == []
    registered = own_api.flow(failed)["registeredTs"]
    assert found(since=registered) == [failed]
    assert found(since="2000-01-01") == [failed, idle]
    assert found(since="2000-01-01T00:00:00+14:00") == [failed, idle]
    assert found(since="9900-01-01") == []
    assert found(since="1970-01-01") == [failed, idle]


async def test_a_history_is_paged_through_archive_and_log(own_api: RunningApi) -> None:
    _define_diamond(own_api, "history")
    flow_id = await _run_first_fail_second(own_api, "history")

    def pages(limit: int) -> list[tuple[str, bool]]:
        found: list[tuple[str, bool]] = []
        after: str | None = None
        while True:
            asked = {"limit": limit} | ({"after": after} if after else {})
            page = own_api.client.get(f"/flows/{flow_id}/events", params=asked).json()
            assert len(page["events"]) <= limit
            found += ((event["event"]["type"], event["archived"]) for event in page["events"])
            after = page["next"]
            if after is None:
                return found

    kinds = [
        "flow.registered",
        "task.started",
        "task.finished",
        "task.started",
        "task.started",
        "task.suspended",
    ]
    assert pages(100) == pages(2) == pages(1) == [(kind, False) for kind in kinds]
    await own_api.project(events=3)
    assert pages(100) == pages(4) == pages(1) == [(kind, True) for kind in kinds]
    reply = own_api.client.get(f"/flows/{flow_id}/events").json()
    assert reply["events"][0]["event"]["workflow"] == "history"
    positions = [event["position"] for event in reply["events"]]
    assert positions == sorted(positions, key=lambda p: [int(n) for n in p.split("-")])


async def test_a_history_goes_on_in_the_log_where_the_archive_ends(own_api: RunningApi) -> None:
    own_api.define("both", {}, {})
    flow_id = own_api.register("both")
    await own_api.project()
    async with own_api.engine() as engine:
        await engine.attend("default")
        await engine.work_off()
    events = own_api.client.get(f"/flows/{flow_id}/events").json()["events"]
    assert [(event["event"]["type"], event["archived"]) for event in events] == [
        ("flow.registered", True),
        *[(kind, False) for kind in ("task.started", "task.finished") * 2],
    ]


async def test_an_event_that_postgres_refused_is_shown_as_such(own_api: RunningApi) -> None:
    own_api.define("refused", {})
    flow_id = own_api.register("refused")
    async with own_api.engine() as engine:
        await engine.attend("default")
        await engine.finish(*await engine.claim(), payload=b'"a\\u0000b"')
    await own_api.project()
    *_, last = own_api.client.get(f"/flows/{flow_id}/events").json()["events"]
    assert last["event"] is None
    assert last["error"]
    assert own_api.flow(flow_id)["status"] == "Finish"
