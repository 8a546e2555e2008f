"""What the version before has left, this one opens and brings to its end."""

import contextlib
import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from acceptance.running import RunningEngine
from compat.loading import BRIDGED, EVERY_KIND, Left, load_postgres, load_redis, read_flows
from flower_engine.embedded.embedded_stores import Addresses
from flower_engine.log.client import connect
from flower_engine.projection import database
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.loss_recovery import recover_lost
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.runtime.verify_redis import check_redis

_SETTINGS = {
    "FLOWER_PROGRAMS": "compat.programs",
    "FLOWER_QUEUES": "default,rated,wide,held",
    "FLOWER_PROCESSES": "2",
    "PYTHONPATH": str(Path(__file__).parents[1]),
}
_PAUSED = ("paused", "unprojected-and-paused")
_FAILED = ("suspended", "ignored", "rerun", "poison", "counted-1", "parked")
_ALREADY_ENDED = (
    *("ended", "rerun-and-ended", "fork-of-ended", "cancelled", "parked-and-cancelled"),
    *("rated-1", "rated-2", "unprojected-and-cancelled"),
)
_ROWS: Mapping[str, LiteralString] = {
    "kr_flow_stat": "SELECT to_jsonb(f) - 'wait_reason' FROM kr_flow_stat f ORDER BY task_flow_id",
    "kr_task_stat": "SELECT to_jsonb(t) - 'wait_reason' FROM kr_task_stat t"
    " ORDER BY task_flow_id, task_exec_seq",
}

of_each_version = pytest.mark.parametrize("data", EVERY_KIND, ids=lambda data: data.parent.name)


@pytest.mark.no_tables
@of_each_version
def test_flows_of_every_kind_go_on_and_end(
    data: Path, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    flows = read_flows(data)
    with opened(tmp_path, data, Addresses(redis_url, database_url)) as engine:
        assert {label: shown(engine, left.flow) for label, left in flows.items()} == flows
        bring_to_their_end(engine, flows)
        assert_they_ended_well(engine, flows)
        assert_all_agrees(engine)


@pytest.mark.no_tables
@pytest.mark.parametrize("data", BRIDGED, ids=lambda data: data.parent.name)
def test_flows_that_were_found_behind_a_gap_go_on_and_end(
    data: Path, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    flows = read_flows(data)
    with opened(tmp_path, data, Addresses(redis_url, database_url), FLOWER_PARTITIONS="3") as engine:
        assert {label: shown(engine, left.flow) for label, left in flows.items()} == flows
        engine.start("watcher")
        engine.start("worker")
        for label, left in flows.items():
            if label.startswith("failed"):
                assert engine.client.post(f"/flows/{left.flow}/resume").status_code == 200
        engine.wait_until_ended([left.flow for left in flows.values()])
        statuses = {label: shown(engine, left.flow).status for label, left in flows.items()}
        assert statuses == dict.fromkeys(flows, "Finish") | {"known-1": "Ignore"}
        reply = engine.client.post("/register/diamond", json={"key": "of what is known-2"})
        assert (reply.json()["taskFlowId"], reply.json()["duplicate"]) == (flows["known-2"].flow, True)
        assert_all_agrees(engine)


@pytest.mark.no_tables
@of_each_version
async def test_a_lost_redis_is_recovered_from_the_archive_of_the_version_before(
    data: Path, redis_url: str, database_url: str
) -> None:
    load_postgres(Addresses(redis_url, database_url), data)
    archived = [left for label, left in read_flows(data).items() if not label.startswith("unprojected")]
    under_way = [left for left in archived if left.status not in ("Finish", "Ignore")]
    settings = load_settings(redis_url=redis_url, database_url=database_url)
    async with connect(redis_url) as client, await database.connect(database_url, "test") as connection:
        await migrate(connection)
        (recovered,) = await recover_lost(client, settings, tell)
        assert (recovered.flows, recovered.damaged) == (len(under_way), {})
        (row,) = await read_positions(connection)
        checked = await check_redis(client, connection, row, tell)
    assert (checked.flows, checked.differences) == (len(under_way), [])


def tell(_what: str, _done: int, _total: int) -> None:
    """Nobody listens."""


@contextlib.contextmanager
def opened(folder: Path, data: Path, stores: Addresses, **settings: str) -> Generator[RunningEngine]:
    """This version on the data, with nobody yet who would move anything."""
    load_redis(stores, data)
    load_postgres(stores, data)
    urls = {"FLOWER_REDIS_URL": stores.redis_url, "FLOWER_DATABASE_URL": stores.database_url}
    with RunningEngine.started(folder, "api", "projector", **urls, **_SETTINGS, **settings) as engine:
        yield engine


def bring_to_their_end(engine: RunningEngine, flows: Mapping[str, Left]) -> None:
    """Lets watcher and worker go on, and does what an operator has to do."""

    def operate(label: str, operation: str, **body: Any) -> None:
        reply = engine.client.post(f"/flows/{flows[label].flow}/{operation}", json=body)
        assert reply.status_code == 200, f"{label}: {reply.text}"

    engine.start("watcher")
    engine.start("worker")
    for label in (*_PAUSED, *_FAILED):
        if label in flows:
            operate(label, "resume")
    for label, error in (("overdue", "QueueTimeout"), ("late", "FlowTimeout")):
        engine.wait_for(
            f"{label} to be that", lambda label=label, error=error: error in errors(engine, flows[label].flow)
        )
    engine.ask("PUT", "/limits/queue/held", {"isPaused": False})
    for label in ("overdue", "late"):
        operate(label, "rerun", selection="failed")
    assert shown(engine, flows["delayed-to-a-date"].flow) == flows["delayed-to-a-date"]
    operate("delayed-to-a-date", "cancel")
    engine.wait_until_ended([left.flow for left in flows.values()])


def assert_they_ended_well(engine: RunningEngine, flows: Mapping[str, Left]) -> None:
    """Each as it was to; what had ended is untouched."""
    for label, left in flows.items():
        flow = engine.client.get(f"/flows/{left.flow}").json()
        if label in _ALREADY_ENDED:
            assert shown(engine, left.flow) == left
        elif label == "delayed-to-a-date":
            assert flow["cancelledTs"] is not None
        else:
            assert (label, flow["status"], flow["suspended"]) == (label, "Finish", 0)
        for task, was in zip(flow["tasks"], left.tasks, strict=False):
            if was.startswith("Finish"):
                assert f"{task['status']} {task['attempt']}" == was, f"{label}: it ran again"
    results = {
        label: engine.client.get(f"/flows/{left.flow}").json()["tasks"] for label, left in flows.items()
    }
    assert results["running"][1]["result"] == "rows", "its progress was handed on"
    assert results["rerun"][1]["result"] == "customers, attempt 3"
    assert results["fork"][3]["result"]["note"] == "forked"
    assert results["ignored"][2]["status"] == "Ignore"
    assert {task["taskPriority"] for task in results["prioritised"]} == {7}
    for label, workflow in (("ended", "chain"), ("parked", "failing"), ("timed", "timed")):
        reply = engine.client.post(f"/register/{workflow}", json={"key": f"of what is {label}"})
        assert (reply.json()["taskFlowId"], reply.json()["duplicate"]) == (flows[label].flow, True)


def assert_all_agrees(engine: RunningEngine) -> None:
    """Log, archive, Redis and tables say the same, and a replay makes the same tables."""
    verified = engine.flower("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        held = {table: connection.execute(rows).fetchall() for table, rows in _ROWS.items()}
        connection.execute("TRUNCATE kr_flow_stat, kr_task_stat")
        replayed = engine.flower("replay")
        assert replayed.returncode == 0, replayed.stderr
        assert {table: connection.execute(rows).fetchall() for table, rows in _ROWS.items()} == held
    assert engine.tracebacks() == []


def shown(engine: RunningEngine, flow: str) -> Left:
    """How the API shows a flow."""
    reply = engine.client.get(f"/flows/{flow}")
    assert reply.status_code == 200, reply.text
    tasks = [f"{task['status']} {task['attempt']}" for task in reply.json()["tasks"][:8]]
    return Left(flow, reply.json()["status"], tasks)


def errors(engine: RunningEngine, flow: str) -> list[str]:
    """The types of the errors of a flow's tasks."""
    tasks = json.loads(engine.client.get(f"/flows/{flow}").content)["tasks"]
    return [task["error"]["type"] for task in tasks if task["error"]]
