"""With 100,000 flows in the tables no question of the API reads a whole table."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from flower_engine.model.tasks.status import Status
from flower_engine.projection.archive.archived_events import history
from flower_engine.projection.database import Connection
from flower_engine.projection.read.alike_tasks import Fault, tasks_alike
from flower_engine.projection.read.failed_tasks import TaskFilter, list_failed
from flower_engine.projection.read.flow_selection import FlowSelection, count_flows, select_flows
from flower_engine.projection.read.queries import FlowFilter, find_by_keys, list_flows, read_events, read_flow

FLOWS = 100_000
_FILL = """
INSERT INTO kr_flow_stat (task_flow_id, task_id, exec_status, partition, version, tasks, waiting, running,
    suspended, finished, ignored, registered_ts, started_ts, finished_ts, suspended_ts, first_ms, last_ms,
    idempotency_key, schedule)
SELECT flow, workflow, CASE WHEN failed THEN 2 ELSE 3 END, 0, 3, 1, 0, 0, failed::int, (NOT failed)::int, 0,
    at, at, CASE WHEN NOT failed THEN at END, CASE WHEN failed THEN at END, n, n,
    CASE WHEN n % 10 = 0 THEN 'key ' || n END, CASE WHEN n % 2 = 0 THEN 'schedule ' || n % 3 END
FROM (SELECT n, id(n) AS flow, 'workflow ' || n % 10 AS workflow, n % 1000 = 7 AS failed,
    to_timestamp(1790000000 + n) AS at FROM generate_series(1, 100000) AS n) AS made;
INSERT INTO kr_task_stat (task_flow_id, task_exec_seq, depends_task_exec_seq, task_id, task_seq,
    exec_status, task_priority, parameters, registered_ts, started_ts, finished_ts, suspended_ts, depends_on,
    program, queue, attempt, lost, error)
SELECT task_flow_id, 1, -1, task_id, 1, exec_status, 0, '{}', registered_ts, started_ts, finished_ts,
    suspended_ts, '{}', 'A', 'default', 1, 0,
    CASE WHEN suspended_ts IS NOT NULL THEN '{"type": "LookupError", "message": "no such table"}'::jsonb END
FROM kr_flow_stat;
INSERT INTO kr_event (partition, position_ms, position_seq, task_flow_id, type, event)
SELECT 0, first_ms, 0, task_flow_id, 'flow.registered', '{}' FROM kr_flow_stat;
ANALYZE kr_flow_stat, kr_task_stat, kr_event
"""
_ID = """
CREATE FUNCTION pg_temp.id(n integer) RETURNS text LANGUAGE sql AS
$$ SELECT '018f3c5e-7a10-7000-8000-' || lpad(to_hex(n), 12, '0') $$
"""
_SCANS = """
SELECT coalesce(sum(seq_scan), 0)::bigint FROM pg_stat_user_tables
WHERE relname IN ('kr_flow_stat', 'kr_task_stat') OR relname LIKE 'kr_event%'
"""
_WAITING = """
INSERT INTO kr_flow_stat (task_flow_id, task_id, exec_status, partition, version, tasks, waiting, running,
    suspended, finished, ignored, registered_ts, started_ts, first_ms, last_ms)
SELECT id(n), 'workflow', (n <= 3)::int, 0, 3, 3, 3 - (n <= 3)::int, (n <= 3)::int, 0, 0, 0,
    to_timestamp(1790000000 + n), CASE WHEN n <= 3 THEN to_timestamp(1790000000) END, n, n
FROM generate_series(1, 20000) AS n;
ANALYZE kr_flow_stat
"""
_READ = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables WHERE relname = 'kr_flow_stat'"
AN_ID = "018f3c5e-7a10-7000-8000-00000000c350"
SINCE = datetime(2026, 9, 22, tzinfo=UTC)

Ask = Callable[[Connection], Awaitable[Any]]


@pytest.fixture
async def many(tables: Connection) -> AsyncIterator[Connection]:
    await tables.execute(_ID)
    for statement in _FILL.replace("id(n)", "pg_temp.id(n)").split(";"):
        await tables.execute(statement.encode())
    yield tables
    await tables.execute("TRUNCATE kr_flow_stat, kr_task_stat, kr_event")


async def scans(connection: Connection) -> int:
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await (await connection.execute(_SCANS)).fetchone()
    assert row is not None
    return row[0]


QUESTIONS: dict[str, Ask] = {
    "flows": lambda c: list_flows(c, FlowFilter(), behind=None, limit=101),
    "suspended flows": lambda c: list_flows(
        c, FlowFilter(statuses=(Status.SUSPEND,)), behind=None, limit=101
    ),
    "waiting flows": lambda c: list_flows(c, FlowFilter(statuses=(Status.WAIT,)), behind=None, limit=101),
    "flows of a workflow": lambda c: list_flows(c, FlowFilter(workflow="workflow 3"), behind=None, limit=101),
    "flows of a time": lambda c: list_flows(c, FlowFilter(since=SINCE, until=SINCE), behind=None, limit=101),
    "flows of a schedule": lambda c: list_flows(
        c, FlowFilter(schedules=("schedule 1",)), behind=None, limit=101
    ),
    "flows of a schedule that fired none": lambda c: list_flows(
        c, FlowFilter(schedules=("schedule 9",)), behind=None, limit=101
    ),
    "a flow": lambda c: read_flow(c, AN_ID),
    "its events": lambda c: read_events(c, AN_ID, 0, after=(0, 0), limit=100),
    "its history": lambda c: history(c, AN_ID, [1]),
    "a key": lambda c: find_by_keys(c, ["key 500", "no such key"]),
    "failed tasks": lambda c: list_failed(c, TaskFilter(), behind=None, limit=100),
    "failed tasks of a workflow": lambda c: list_failed(
        c, TaskFilter(workflow="workflow 7"), behind=None, limit=100
    ),
    "failed tasks by text": lambda c: list_failed(c, TaskFilter(text="TABLE"), behind=None, limit=100),
    "retrying tasks": lambda c: list_failed(c, TaskFilter(which="retrying"), behind=None, limit=100),
    "flows for a bulk operation": lambda c: select_flows(
        c, FlowSelection(statuses=(Status.SUSPEND,), text="table"), behind=None, limit=500
    ),
    "tasks that failed alike": lambda c: tasks_alike(
        c, Fault("A", "app.Error", "no such table"), FlowSelection(workflow="workflow 7")
    ),
    "how many those are": lambda c: count_flows(
        c, FlowSelection(workflow="workflow 7", text="table"), most=100_001
    ),
}


async def test_no_question_reads_a_whole_table(many: Connection) -> None:
    for name, ask in QUESTIONS.items():
        before = await scans(many)
        answer = await ask(many)
        assert await scans(many) == before, f"{name}: a whole table was read"
        assert answer is not None


async def test_the_answers_are_right(many: Connection) -> None:
    entries, end = await list_failed(many, TaskFilter(text="such TABLE"), behind=None, limit=1_000)
    assert (len(entries), end) == (100, None)
    times = [entry.suspended_ts for entry in entries if entry.suspended_ts is not None]
    assert times == sorted(times, reverse=True)
    assert len(times) == 100
    assert await count_flows(many, FlowSelection(text="table"), most=1_000) == 100
    assert await find_by_keys(many, ["key 500", "key 7"]) == {
        "key 500": ("018f3c5e-7a10-7000-8000-0000000001f4", "workflow 0")
    }


async def test_a_list_of_running_flows_reads_none_that_wait(tables: Connection) -> None:
    await tables.execute(_ID)
    for statement in _WAITING.replace("id(n)", "pg_temp.id(n)").split(";"):
        await tables.execute(statement.encode())
    before = await _rows_read(tables)
    running = await list_flows(tables, FlowFilter(statuses=(Status.RUNNING,)), behind=None, limit=101)
    assert [flow.exec_status for flow in running] == [1, 1, 1]
    assert await _rows_read(tables) - before < 100
    await tables.execute("TRUNCATE kr_flow_stat")


async def _rows_read(connection: Connection) -> int:
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await (await connection.execute(_READ)).fetchone()
    assert row is not None
    return row[0]
