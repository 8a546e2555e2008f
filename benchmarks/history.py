"""Claims beside a long history: ``python -m benchmarks.history [FINISHED_FLOWS]`` (1,000,000 by default).

Two engines run side by side; the Postgres of one is given finished flows of one task each (rows
of ``kr_flow_stat`` and ``kr_task_stat``). In each, by turns, one worker works off a backlog of three-task
flows. A round's figure is tasks a second from the first start to the last finish event in the log, so the
rounds of one engine beside those of the other show what it costs.
"""

import asyncio
import datetime
import statistics
import sys
from pathlib import Path

import psycopg
import uvloop
from rich.console import Console

from flower_bench.definitions import line
from flower_bench.environment import describe_environment
from flower_cli.local.throwaway_deployment import OwnDeployment
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys

LINE = "line"
ROUNDS = 20
FLOWS = 4_000
TASKS = 3 * FLOWS
_CALL_FLOWS = 100
_TAIL_EVENTS = "10000000"  # the whole run stays in the log, so that it can be read back
_POLL_SECONDS = 0.1
_RESULTS = Path(__file__).with_name("results")
_out = Console()

_FLOWS = """
INSERT INTO kr_flow_stat (task_flow_id, task_id, exec_status, registered_ts, started_ts, finished_ts,
    partition, version, tasks, waiting, running, suspended, finished, ignored, first_ms, last_ms)
SELECT '01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'), 'old', 3, at, at, at,
    0, 3, 1, 0, 0, 0, 1, 0, 0, 0
FROM (SELECT n, now() - interval '1 day' - n * interval '1 ms' AS at FROM generate_series(1, %s) AS n) AS made
"""
_TASKS = """
INSERT INTO kr_task_stat (task_flow_id, task_exec_seq, depends_task_exec_seq, task_id, task_seq, exec_status,
    task_priority, parameters, program, registered_ts, started_ts, finished_ts, attempt)
SELECT task_flow_id, 1, -1, task_id, 1, 3, 0, '{}', 'noop', registered_ts, started_ts, finished_ts, 1
FROM kr_flow_stat WHERE task_id = 'old'
"""
_ENDED = "SELECT count(*) FROM kr_flow_stat WHERE task_id = %s AND finished_ts IS NOT NULL"


def _fill(engine: OwnDeployment, flows: int) -> None:
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        connection.execute(_FLOWS, [flows])
        connection.execute(_TASKS)
        connection.execute("VACUUM ANALYZE kr_flow_stat, kr_task_stat")


def _count_ended(connection: psycopg.Connection) -> int:
    row = connection.execute(_ENDED, [LINE]).fetchone()
    return int(row[0]) if row else 0


async def _round(engine: OwnDeployment, number: int) -> float:
    """Tasks a second."""
    body = [{"taskId": LINE}] * _CALL_FLOWS
    for _ in range(FLOWS // _CALL_FLOWS):
        (await engine.api.post("/register", json=body)).raise_for_status()
    keys = Keys(0)
    before = await _last_position(engine.redis, keys)
    engine.start_worker()
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        while True:
            if _count_ended(connection) >= (number + 1) * FLOWS:
                break
            await asyncio.sleep(_POLL_SECONDS)
    engine.stop_worker()
    first, last = await _span_of_events(engine.redis, keys, before)
    return TASKS / (last - first) * 1000


async def _last_position(client: AsyncRedis, keys: Keys) -> str:
    found = await send(client, "XREVRANGE", keys.log, "+", "-", "COUNT", 1)
    return found[0][0].decode()


async def _span_of_events(client: AsyncRedis, keys: Keys, after: str) -> tuple[float, float]:
    """Milliseconds of the first entry after a position (the first start) and of the log's last entry."""
    found = await send(client, "XRANGE", keys.log, f"({after}", "+", "COUNT", 1)
    if not found:
        raise RuntimeError("the log was trimmed too early: raise FLOWER_LOG_TAIL_EVENTS for the benchmark")
    last = await _last_position(client, keys)
    return float(found[0][0].decode().partition("-")[0]), float(last.partition("-")[0])


async def measure(flows: int) -> tuple[list[float], list[float]]:
    """The rounds without a history, and those with one."""
    without: list[float] = []
    beside: list[float] = []
    tail = {"FLOWER_LOG_TAIL_EVENTS": _TAIL_EVENTS}
    async with OwnDeployment.started(**tail) as empty, OwnDeployment.started(**tail) as full:
        for engine in (empty, full):
            await engine.define(LINE, line(3))
        _fill(full, flows)
        for number in range(ROUNDS + 1):
            engines = (empty, full) if number % 2 else (full, empty)  # whoever is second has it harder
            found = {engine: await _round(engine, number) for engine in engines}
            rates = found[empty], found[full]
            if number:  # the first round warms up
                without.append(rates[0])
                beside.append(rates[1])
            _out.print(f"round {number}: {rates[0]:,.0f} and {rates[1]:,.0f} tasks/s", highlight=False)
    return without, beside


def main() -> None:
    flows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        without, beside = runner.run(measure(flows))
    ratios = [b / a for a, b in zip(without, beside, strict=True)]
    now = datetime.datetime.now(tz=datetime.UTC)
    lines = [f"- date: {now.isoformat(timespec='seconds')}"]
    lines += [f"- {name}: {text}" for name, text in describe_environment().items()]
    lines += [
        "",
        f"| round | none, tasks/s | {flows:,} finished flows, tasks/s | ratio |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {number} | {a:,.0f} | {b:,.0f} | {b / a:.3f} |"
        for number, (a, b) in enumerate(zip(without, beside, strict=True), start=1)
    ]
    lines += [
        f"| median | {statistics.median(without):,.0f} | {statistics.median(beside):,.0f} |"
        f" {statistics.median(ratios):.3f} |"
    ]
    name = now.strftime("%Y-%m-%d-%H%M%S-history.md")
    (_RESULTS / name).write_text("\n".join(lines) + "\n")
    _out.print(lines[-1], highlight=False)
    _out.print(f"written to benchmarks/results/{name}", highlight=False)


if __name__ == "__main__":
    main()
