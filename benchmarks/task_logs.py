"""What it costs to keep what programs print: ``python -m benchmarks.task_logs [ROUNDS [FLOWS]]``.

Three engines beside each other, with task logs on, off, and off once more: backlogs of chains of three, of
programs that print nothing and of programs that print one line of 80 characters, in turns. For each: tasks a
second, and CPU of the workers a task, which another load of the machine changes less. The ratio of the two
without logs says how much of a ratio is chance. The result goes to ``benchmarks/results/``.
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
_ROUNDS, _FLOWS = 7, 3_000
_TASKS = 3
_PROGRAMS = ("Silent", "OneLine")
_SETTINGS = {"off": "off", "on": "on", "off again": "off"}
_LAST = """
SELECT (extract(epoch FROM max(finished_ts) - min(started_ts)) * 1000)::float8 FROM
    (SELECT * FROM kr_flow_stat WHERE task_id = %s
     ORDER BY registered_ts DESC, task_flow_id DESC LIMIT %s) AS newest
"""
_out = Console()

Figures = tuple[float, float]
"""Tasks a second, and microseconds of the workers' CPU a task."""


async def work_off(engine: OwnDeployment, program: str, flows: int, number: int) -> Figures:
    """One backlog of a program, the ``number``-th."""
    name = engine.name(f"backlog-{program.lower()}")
    if number == 1:
        rows = [{"taskSeq": seq, "program": program} for seq in range(1, _TASKS + 1)]
        await engine.define(name, rows)
    await engine.hold(name)
    await register(engine, name, flows)
    await until_projected(engine)
    await engine.serve()
    before = _cpu_seconds(engine)
    await until_ended(engine, name, number * flows)
    spent = _cpu_seconds(engine) - before
    async with await engine.connect_postgres() as connection:
        row = await (await connection.execute(_LAST, [name, flows])).fetchone()
    assert row is not None
    return flows * _TASKS / (float(row[0]) / 1_000), spent / (flows * _TASKS) * 1e6


def _cpu_seconds(engine: OwnDeployment) -> float:
    spent = 0.0
    for process in engine.processes()["worker"]:
        times = process.cpu_times()
        spent += times.user + times.system
    return spent


async def measure(rounds: int, flows: int) -> list[str]:
    """Every row of the table."""
    found: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        engines: dict[str, OwnDeployment] = {}
        for name, logs in _SETTINGS.items():
            started = OwnDeployment.started(
                FLOWER_PROGRAMS="benchmarks.printing_programs", FLOWER_TASK_LOGS=logs
            )
            engines[name] = await stack.enter_async_context(started)
            await engines[name].serve()
        for number in range(1, rounds + 2):  # the first warms up
            names = list(engines) if number % 2 else list(engines)[::-1]
            for program in _PROGRAMS:
                for name in names:
                    figures = await work_off(engines[name], program, flows, number)
                    if number > 1:
                        found[program, name].append(figures)
    rows: list[str] = []
    for program in _PROGRAMS:
        plain = found[program, "off"]
        for name in ("on", "off again"):
            row = [f"| {program}, {name} against off"]
            for index, digits in ((0, 0), (1, 1)):
                own = found[program, name]
                row += [f"{_median(one, index):,.{digits}f}" for one in (plain, own)]
                row.append(_ratios(own, plain, index))
            rows.append(f"{' | '.join(row)} |")
    return rows


def _median(figures: Sequence[Figures], index: int) -> float:
    return statistics.median(one[index] for one in figures)


def _ratios(figures: Sequence[Figures], plain: Sequence[Figures], index: int) -> str:
    ratios = [one[index] / other[index] for one, other in zip(figures, plain, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main(arguments: Sequence[str]) -> None:
    """Measures, prints and writes the table."""
    rounds, flows = (*map(int, arguments), *(_ROUNDS, _FLOWS)[len(arguments) :])
    loads = [os.getloadavg()[0]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure(rounds, flows))
    loads.append(os.getloadavg()[0])
    now = datetime.datetime.now(tz=datetime.UTC)
    lines = ["# What task logs cost", "", f"- date: {now.isoformat(timespec='seconds')}"]
    lines += [f"- {name}: {text}" for name, text in describe_environment().items()]
    lines += [
        f"- rounds: {rounds}, each {flows:,} chains of {_TASKS}",
        f"- load before and after: {loads[0]:.1f}, {loads[1]:.1f}",
        "",
        "| what | tasks/s off | tasks/s | ratio | worker us/task off | worker us/task | ratio |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]
    name = now.strftime("%Y-%m-%d-%H%M%S-task-logs.md")
    (_RESULTS / name).write_text("\n".join(lines) + "\n")
    _out.print("\n".join(lines), markup=False, highlight=False)


if __name__ == "__main__":
    main(sys.argv[1:])
