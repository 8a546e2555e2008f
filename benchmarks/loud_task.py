"""What a program that prints 100 MB costs the others: ``python -m benchmarks.loud_task [ROUNDS]``.

Two engines beside each other, with task logs on and off. In turns: flows of one task that does nothing come
a hundred times a second, alone, and beside one task that prints 100 MB, on a thread of the worker and in a
process. Told is how long those flows took, from registration to end, that were registered while it ran. A
program takes its share of the machine and of the interpreter's lock whatever becomes of its lines, so what
its log costs the others is the difference to the same with task logs off; alone against alone once more says
how much of a difference is chance. The result goes to ``benchmarks/results/``.
"""

import asyncio
import contextlib
import datetime
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import uvloop
from rich.console import Console

from benchmarks.flow_control import register
from flower_bench.environment import describe_environment
from flower_bench.projection_watch import until_ended, until_projected
from flower_cli.local.throwaway_deployment import OwnDeployment

_RESULTS = Path(__file__).with_name("results")
_ROUNDS = 5
_EVERY_SECONDS = 0.01
_ALONE_SECONDS = 5.0
_SETTINGS = {"logs off": "off", "logs on": "on"}
_BESIDE = {"alone": None, "a thread": "LoudThread", "a process": "LoudProcess", "alone again": None}
_TOOK = """
SELECT (extract(epoch FROM quick.finished_ts - quick.registered_ts) * 1000)::float8
FROM kr_flow_stat AS quick WHERE quick.task_id = %(quick)s AND quick.task_flow_id = ANY(%(flows)s)
  AND (%(loud)s::text IS NULL OR EXISTS (SELECT FROM kr_flow_stat AS loud
    WHERE loud.task_flow_id = %(loud)s AND quick.registered_ts >= loud.started_ts
      AND quick.registered_ts <= loud.finished_ts))
"""
_OVER = "SELECT FROM kr_flow_stat WHERE task_flow_id = %s AND finished_ts IS NOT NULL"
_out = Console()

Took = list[float]
"""Milliseconds that each flow took."""


class _Measured:
    """One engine, and what it has been given so far."""

    def __init__(self, engine: OwnDeployment) -> None:
        self._engine = engine
        self._quick = engine.name("quick")
        self._quick_flows = 0

    async def begin(self) -> None:
        engine = self._engine
        await engine.define(self._quick, [{"taskSeq": 1, "program": "Silent"}])
        for program in filter(None, _BESIDE.values()):
            await engine.define(engine.name(program.lower()), [{"taskSeq": 1, "program": program}])
        await engine.serve()
        await register(engine, self._quick, 100)
        self._quick_flows += 100
        await until_ended(engine, self._quick, self._quick_flows)

    async def round(self, program: str | None) -> Took:
        """How long flows took beside a program, or alone."""
        engine = self._engine
        await until_projected(engine)
        loud = None
        if program is not None:
            (loud,) = await register(engine, engine.name(program.lower()), 1)
        over = asyncio.create_task(self._until_over(loud))
        coming: list[asyncio.Task[list[str]]] = []
        begin = asyncio.get_running_loop().time()
        while not over.done():
            coming.append(asyncio.create_task(register(engine, self._quick, 1)))
            pause = begin + len(coming) * _EVERY_SECONDS - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, pause))
        await over
        flows = [flow for some in await asyncio.gather(*coming) for flow in some]
        self._quick_flows += len(flows)
        await until_ended(engine, self._quick, self._quick_flows)
        async with await engine.connect_postgres() as connection:
            asked = {"quick": self._quick, "flows": flows, "loud": loud}
            return [float(row[0]) async for row in await connection.execute(_TOOK, asked)]

    async def _until_over(self, loud: str | None) -> None:
        if loud is None:
            await asyncio.sleep(_ALONE_SECONDS)
            return
        async with await self._engine.connect_postgres() as connection:
            while True:
                if (await connection.execute(_OVER, [loud])).rowcount == 1:
                    return
                await asyncio.sleep(0.05)


async def measure(rounds: int) -> list[str]:
    """Every row of the table."""
    found: dict[tuple[str, str], list[Took]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        engines: dict[str, _Measured] = {}
        for name, logs in _SETTINGS.items():
            started = OwnDeployment.started(
                FLOWER_PROGRAMS="benchmarks.printing_programs", FLOWER_TASK_LOGS=logs
            )
            engines[name] = _Measured(await stack.enter_async_context(started))
            await engines[name].begin()
        for number in range(1, rounds + 2):  # the first warms up
            names = list(engines) if number % 2 else list(engines)[::-1]
            for beside, program in _BESIDE.items():
                for name in names:
                    took = await engines[name].round(program)
                    if number > 1:
                        found[beside, name].append(took)
    rows: list[str] = []
    for beside in _BESIDE:
        for name in _SETTINGS:
            own = found[beside, name]
            p99 = [_quantile(took, 0.99) for took in own]
            to_alone = [
                one / _quantile(took, 0.99) for one, took in zip(p99, found["alone", name], strict=True)
            ]
            to_off = [
                one / _quantile(took, 0.99) for one, took in zip(p99, found[beside, "logs off"], strict=True)
            ]
            p50 = statistics.median(_quantile(took, 0.5) for took in own)
            rows.append(
                f"| {beside}, {name} | {sum(map(len, own)):,} | {p50:.1f} | {statistics.median(p99):.1f} |"
                f" {_spread(to_alone)} | {_spread(to_off)} |"
            )
    return rows


def _quantile(took: Sequence[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(len(took) * share))]


def _spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main(arguments: Sequence[str]) -> None:
    """Measures, prints and writes the table."""
    rounds = int(arguments[0]) if arguments else _ROUNDS
    loads = [os.getloadavg()[0]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure(rounds))
    loads.append(os.getloadavg()[0])
    now = datetime.datetime.now(tz=datetime.UTC)
    lines = ["# What a task that prints 100 MB costs the others", ""]
    lines += [f"- {name}: {text}" for name, text in describe_environment().items()]
    lines += [
        f"- rounds: {rounds}, a flow each {_EVERY_SECONDS * 1000:.0f} ms",
        f"- load before and after: {loads[0]:.1f}, {loads[1]:.1f}",
        "",
        "| beside | flows | p50 ms | p99 ms | p99 to that alone | p99 to that with logs off |",
        "|---|---|---|---|---|---|",
        *rows,
    ]
    name = now.strftime("%Y-%m-%d-%H%M%S-loud-task.md")
    (_RESULTS / name).write_text("\n".join(lines) + "\n")
    _out.print("\n".join(lines), markup=False, highlight=False)


if __name__ == "__main__":
    main(sys.argv[1:])
