"""What data between tasks costs: ``python -m benchmarks.data [--without-fsync]``.

Chains of 40 in which each task takes the result of the one before, beside the same chain of tasks that make
theirs themselves, one flow at a time and in turns; a backlog of chains of three, with and without, in turns;
and 1,000 results that one task reads. ``--without-fsync``: the store leaves flushing to the system, so that
the disk does not hide what the engine costs. The result goes to ``benchmarks/results/``.
"""

import asyncio
import datetime
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from benchmarks.flow_control import register
from flower_bench.environment import describe_environment
from flower_bench.projection_watch import until_ended, until_projected
from flower_cli.local.throwaway_deployment import OwnDeployment
from flower_engine.log.client import send

_RESULTS = Path(__file__).with_name("results")
_ROUNDS = 21
_LARGE_ROUNDS = 5
_TASKS = 40
_BACKLOG_FLOWS = 1_500
_BACKLOG_ROUNDS = 5
_WIDE = 1_000
_SIZES = {"10 bytes": 10, "10 KB": 10_000, "1 MB": 1_000_000}
_SPAN = """
SELECT (extract(epoch FROM finished_ts - registered_ts) * 1000)::float8
FROM kr_flow_stat WHERE task_flow_id = %s
"""
_out = Console()


def chain(tasks: int, size: int, *, has_data: bool) -> list[dict[str, Any]]:
    """So many tasks in a row with results of so many bytes, handed on or made anew."""
    first: dict[str, Any] = {"taskSeq": 1, "program": "Make", "parameters": {"size": size}, "dependsOn": []}
    if has_data:
        rest = [
            {"taskSeq": seq, "program": "HandOn", "parameters": {"value": {"$from": seq - 1}}}
            for seq in range(2, tasks + 1)
        ]
    else:
        rest = [
            {"taskSeq": seq, "program": "Make", "parameters": {"size": size}} for seq in range(2, tasks + 1)
        ]
    return [first, *rest]


def reduction(wide: int) -> list[dict[str, Any]]:
    """So many results, and one task that reads all of them."""
    makers, small = range(1, wide + 1), {"size": 100}
    return [
        *({"taskSeq": seq, "program": "Make", "parameters": small, "dependsOn": []} for seq in makers),
        {
            "taskSeq": wide + 1, "program": "Count", "dependsOn": [],
            "parameters": {"values": [{"$from": seq} for seq in makers]},
        },
    ]  # fmt: skip


async def time_of(engine: OwnDeployment, workflow: str, number: int) -> float:
    """One flow, the workflow's ``number``-th: from its registration to its end, in ms of Redis' clock."""
    flow = await engine.register(workflow)
    await until_ended(engine, workflow, number)
    async with await engine.connect_postgres() as connection:
        row = await (await connection.execute(_SPAN, [flow])).fetchone()
    assert row is not None
    return float(row[0])


async def chains(engine: OwnDeployment, what: str, size: int, rounds: int) -> str:
    """The chain with data and without, in turns: medians of the times, and of their ratios."""
    names = [engine.name(f"{what}, {kind}".replace(" ", "-").replace(",", "")) for kind in ("plain", "data")]
    for name, has_data in zip(names, (False, True), strict=True):
        await engine.define(name, chain(_TASKS, size, has_data=has_data))
    times: list[list[float]] = [[], []]
    for number in range(1, rounds + 2):  # the first warms up
        for index in (0, 1) if number % 2 else (1, 0):
            took = await time_of(engine, names[index], number)
            if number > 1:
                times[index].append(took)
    ratios = [with_data / plain for plain, with_data in zip(*times, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    plain, with_data = map(statistics.median, times)
    return (
        f"| chain of {_TASKS}, {what} | {plain:.1f} ms | {with_data:.1f} ms |"
        f" {statistics.median(ratios):.3f} ({low:.2f} to {high:.2f}) | {rounds} |"
    )


async def backlog(engine: OwnDeployment, size: int) -> str:
    """Chains of three worked off, with data and without, in turns: tasks a second."""
    names = [engine.name(f"backlog-{kind}") for kind in ("plain", "data")]
    for name, has_data in zip(names, (False, True), strict=True):
        await engine.define(name, chain(3, size, has_data=has_data))
    rates: list[list[float]] = [[], []]
    for number in range(1, _BACKLOG_ROUNDS + 1):
        for index in (0, 1) if number % 2 else (1, 0):
            await engine.hold(names[index])
            await register(engine, names[index], _BACKLOG_FLOWS)
            await until_projected(engine)
            await engine.serve()
            await until_ended(engine, names[index], number * _BACKLOG_FLOWS)
            rates[index].append(await _rate_of_last(engine, names[index]))
    ratios = [with_data / plain for plain, with_data in zip(*rates, strict=True)]
    plain, with_data = map(statistics.median, rates)
    return (
        f"| backlog of {_BACKLOG_FLOWS:,} chains of 3, {size} bytes | {plain:,.0f} tasks/s |"
        f" {with_data:,.0f} tasks/s | {statistics.median(ratios):.3f}"
        f" ({min(ratios):.2f} to {max(ratios):.2f}) | {_BACKLOG_ROUNDS} |"
    )


_LAST = """
SELECT (extract(epoch FROM max(finished_ts) - min(started_ts)) * 1000)::float8, sum(tasks)::bigint FROM
    (SELECT * FROM kr_flow_stat WHERE task_id = %s
     ORDER BY registered_ts DESC, task_flow_id DESC LIMIT %s) AS newest
"""


async def _rate_of_last(engine: OwnDeployment, workflow: str) -> float:
    """Tasks a second over the flows of the last round, by Redis' clock."""
    async with await engine.connect_postgres() as connection:
        row = await (await connection.execute(_LAST, [workflow, _BACKLOG_FLOWS])).fetchone()
    assert row is not None
    return float(row[1]) / (float(row[0]) / 1_000)


async def _memory(engine: OwnDeployment) -> int:
    info: dict[str, Any] = await send(engine.redis, "INFO", "memory")
    return int(info["used_memory"])


async def reduced(engine: OwnDeployment) -> list[str]:
    """1,000 results of 100 bytes read by one task: time, Redis' CPU, and memory before, within and after."""
    name = engine.name("reduction")
    await engine.define(name, reduction(_WIDE))
    await time_of(engine, name, 1)
    before = await _memory(engine)
    took = [await time_of(engine, name, number) for number in range(2, 7)]
    after = await _memory(engine)
    kept = await send(engine.redis, "HGET", "{flower:0}:meta", "kept")
    return [
        f"| {_WIDE:,} results into one reader, register to end | {statistics.median(took):.0f} ms | | | 5 |",
        f"| Redis memory before and after 5 such flows | {before / 1e6:.2f} MB | {after / 1e6:.2f} MB | | |",
        f"| bytes kept afterwards, by `kept` of meta | {kept or b'0'} | | | |",
    ]


async def measure(settings: dict[str, str], *, has_fsync: bool) -> list[str]:
    """Every row of the table."""
    rows: list[str] = []

    def add(*more: str) -> None:
        rows.extend(more)
        for row in more:
            _out.print(row, markup=False, highlight=False)

    async with OwnDeployment.started(FLOWER_PROGRAMS="benchmarks.data_programs", **settings) as engine:
        await engine.serve()
        if not has_fsync:
            await send(engine.redis, "CONFIG", "SET", "appendfsync", "no")
        for what, size in _SIZES.items():
            add(await chains(engine, what, size, _LARGE_ROUNDS if size >= 1_000_000 else _ROUNDS))
        add(*await reduced(engine))
        add(await backlog(engine, 10))
    return rows


def main(arguments: Sequence[str]) -> None:
    """Measures, prints and writes the table."""
    has_fsync = "--without-fsync" not in arguments
    title = "each call of Redis is flushed to the disk" if has_fsync else "without fsync"
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure({"FLOWER_BLOBS": "api"}, has_fsync=has_fsync))
    now = datetime.datetime.now(tz=datetime.UTC)
    lines = [f"# Data between tasks ({title})", "", f"- date: {now.isoformat(timespec='seconds')}"]
    lines += [f"- {name}: {text}" for name, text in describe_environment().items()]
    lines += ["", "| what | without data | with data | ratio | rounds |", "|---|---|---|---|---|", *rows]
    name = now.strftime("%Y-%m-%d-%H%M%S-data.md")
    (_RESULTS / name).write_text("\n".join(lines) + "\n")
    _out.print(f"written to benchmarks/results/{name}", highlight=False)


if __name__ == "__main__":
    main(sys.argv[1:])
