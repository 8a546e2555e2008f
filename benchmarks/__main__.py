"""``make bench``: measures a whole engine and writes a dated file under benchmarks/results/."""

import asyncio
import datetime
import statistics
import time
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.engine import BenchEngine
from benchmarks.environment import describe_environment
from benchmarks.floor import floor_messages_per_second
from benchmarks.workloads import (
    CHAIN,
    CHAIN_TASKS,
    LINE,
    Figure,
    backlog,
    chain,
    noops,
    register_bulk,
    register_single,
)

REFERENCE_FLOOR = 18_000.0
BACKLOG_FLOWS = 10_000
CHAIN_REPEATS = 21
_FILL_CALLS = 100
_RESULTS = Path(__file__).with_name("results")
_out = Console()


async def measure() -> tuple[list[float], list[Figure]]:
    """Every workload on an engine of its own; the floor between them, on the same Valkey."""
    floors: list[float] = []
    figures: list[Figure] = []
    with BenchEngine.started() as engine:
        engine.define(LINE, noops(3))
        floors.append(await floor_messages_per_second(engine.redis))
        for clients in (1, 16):
            figures.append(await register_single(engine, clients))
        figures.append(await register_bulk(engine, 4))
        floors.append(await floor_messages_per_second(engine.redis))
    with BenchEngine.started() as engine:
        engine.define(LINE, noops(3))
        body = [{"taskId": LINE}] * (BACKLOG_FLOWS // _FILL_CALLS)
        for _ in range(_FILL_CALLS):
            (await engine.client.post("/register", json=body)).raise_for_status()
        floors.append(await floor_messages_per_second(engine.redis))
        figures += await backlog(engine, BACKLOG_FLOWS, 3 * BACKLOG_FLOWS, lambda _: None)
        floors.append(await floor_messages_per_second(engine.redis))
    with BenchEngine.started() as engine:
        engine.define(CHAIN, noops(CHAIN_TASKS))
        engine.start_worker()
        await chain(engine, 3)
        figures.append(await chain(engine, CHAIN_REPEATS))
        floors.append(await floor_messages_per_second(engine.redis))
    return floors, figures


def report(floors: list[float], figures: list[Figure]) -> str:
    """The result as Markdown, environment first; prints it as a table, too."""
    factor = statistics.median(floors) / REFERENCE_FLOOR
    environment = {
        "date": datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        **describe_environment(),
        "floor": ", ".join(f"{floor:,.0f}" for floor in floors)
        + f" messages/s; factor to the reference of {REFERENCE_FLOOR:,.0f}: {factor:.2f} (median)",
    }
    table = Table("workload", "measured", "unit", "target here", "target")
    lines = [f"- {name}: {text}" for name, text in environment.items()]
    lines += ["", "| workload | measured | unit | target here | target |", "|---|---|---|---|---|"]
    for figure in figures:
        scaled = figure.target * factor if figure.higher_is_better else figure.target / factor
        row = (
            figure.workload,
            f"{figure.value:,.1f}",
            figure.unit,
            f"{scaled:,.1f}" if figure.target else "",
            f"{figure.target:,.0f}" if figure.target else "",
        )
        table.add_row(*row)
        lines.append(f"| {' | '.join(row)} |")
    for name, text in environment.items():
        _out.print(f"[bold]{name}[/]: {text}", highlight=False)
    _out.print(table)
    return "\n".join(lines) + "\n"


def main() -> None:
    began = time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        floors, figures = runner.run(measure())
    text = report(floors, figures)
    name = datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d-%H%M%S.md")
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / name).write_text(text)
    _out.print(f"{time.perf_counter() - began:.0f} s; written to benchmarks/results/{name}", highlight=False)


if __name__ == "__main__":
    main()
