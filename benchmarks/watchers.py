"""What twenty pages that watch cost the engine: ``python -m benchmarks.watchers [ROUNDS]``.

Ten flows of 2,000 tasks each are worked off at 2,000 starts a second, in turns with nobody who watches and
with twenty connections: ten that watch all flows (``GET /changes``), and ten that watch one of these each.
Told is how many tasks a second came to their end, and what each process spent of CPU a task, which another
load of the machine changes less. Rounds without, with, and without once more: the two without say how much is
chance. The result goes to ``benchmarks/results/``.
"""

import asyncio
import contextlib
import datetime
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvloop
from rich.console import Console

from benchmarks.flow_control import limit, register
from flower_bench.cpu import ROLES, read_cpu, us_per_task
from flower_bench.environment import describe_environment
from flower_bench.projection_watch import until_ended, until_projected
from flower_cli.local.throwaway_deployment import OwnDeployment

_RESULTS = Path(__file__).with_name("results")
_ROUNDS = 4
_FLOWS, _TASKS, _RATE = 10, 2_000, 2_000
_WATCHERS = 20
_TURNS = ("nobody", "twenty", "nobody again")
_LAST = """
SELECT (extract(epoch FROM max(finished_ts) - min(started_ts)) * 1000)::float8
FROM kr_flow_stat WHERE task_flow_id = ANY(%s)
"""
_out = Console()

Figures = dict[str, float]
"""Tasks a second, and microseconds of CPU a task by process."""


class _Watching:
    """What the connections were sent."""

    def __init__(self) -> None:
        self.bytes = 0
        self.frames = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, client: httpx.AsyncClient, flows: Sequence[str]) -> None:
        paths = ["/changes"] * (_WATCHERS - len(flows)) + [f"/flows/{flow}/changes" for flow in flows]
        begun = [asyncio.Event() for _ in paths]
        self._tasks = [
            asyncio.create_task(self._watch(client, path, event))
            for path, event in zip(paths, begun, strict=True)
        ]
        await asyncio.gather(*(event.wait() for event in begun))

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, client: httpx.AsyncClient, path: str, begun: asyncio.Event) -> None:
        async with client.stream("GET", path) as reply:
            reply.raise_for_status()
            async for part in reply.aiter_raw():
                self.bytes += len(part)
                self.frames += part.count(b"\n\n")
                begun.set()


@asynccontextmanager
async def _client(engine: OwnDeployment) -> AsyncGenerator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=_WATCHERS)
    async with httpx.AsyncClient(
        base_url=str(engine.api.base_url), timeout=None, limits=limits, trust_env=False
    ) as client:
        yield client


async def work_off(engine: OwnDeployment, number: int, *, is_watched: bool) -> tuple[Figures, _Watching]:
    """The flows of one turn, the ``number``-th."""
    name = engine.name("watched")
    await limit(engine, f"workflow/{name}", rate=_RATE, isPaused=True)
    flows = await register(engine, name, _FLOWS)
    await until_projected(engine)
    watching = _Watching()
    async with _client(engine) as client:
        if is_watched:
            await watching.begin(client, flows)
        before = await read_cpu(engine)
        await limit(engine, f"workflow/{name}", rate=_RATE)
        await until_ended(engine, name, number * _FLOWS)
        after = await read_cpu(engine)
        await watching.end()
    async with await engine.connect_postgres() as connection:
        row = await (await connection.execute(_LAST, [flows])).fetchone()
    assert row is not None
    tasks = _FLOWS * _TASKS
    return {"tasks/s": tasks / (float(row[0]) / 1_000), **us_per_task(before, after, tasks)}, watching


async def measure(rounds: int) -> list[str]:
    """Every row of the table."""
    found: dict[str, list[Figures]] = defaultdict(list)
    sent: list[_Watching] = []
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(
            OwnDeployment.started(FLOWER_PROGRAMS="benchmarks.printing_programs")
        )
        rows = [
            {"taskSeq": seq, "program": "Silent", "dependsOn": list[int]()} for seq in range(1, _TASKS + 1)
        ]
        await engine.define(engine.name("watched"), rows)
        await engine.serve()
        number = 0
        for turn in range(rounds + 1):  # the first warms up
            for name in _TURNS:
                number += 1
                figures, watching = await work_off(engine, number, is_watched=name == "twenty")
                if turn > 0:
                    found[name].append(figures)
                    sent += [watching] if name == "twenty" else []
    rows = [_row(what, found) for what in ("tasks/s", *ROLES) if what in found["nobody"][0]]
    frames = statistics.median(one.frames for one in sent)
    megabytes = statistics.median(one.bytes for one in sent) / 1e6
    return [*rows, "", f"Sent to the twenty in a round: {frames:,.0f} events, {megabytes:.1f} MB."]


def _row(what: str, found: dict[str, list[Figures]]) -> str:
    medians = [statistics.median(one[what] for one in found[name]) for name in _TURNS]
    ratios = [
        [
            one[what] / other[what]
            for one, other in zip(found[name], found["nobody"], strict=True)
            if other[what]
        ]
        for name in _TURNS[1:]
    ]
    shown = [
        f"{statistics.median(own):.3f} ({min(own):.2f} to {max(own):.2f})" if own else "" for own in ratios
    ]
    label = what if what == "tasks/s" else f"{what}, us/task"
    return f"| {label} | {' | '.join(f'{one:,.1f}' for one in medians)} | {' | '.join(shown)} |"


def main(arguments: Sequence[str]) -> None:
    """Measures, prints and writes the table."""
    rounds = int(arguments[0]) if arguments else _ROUNDS
    loads = [os.getloadavg()[0]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure(rounds))
    loads.append(os.getloadavg()[0])
    now = datetime.datetime.now(tz=datetime.UTC)
    lines = ["# What twenty pages that watch cost the engine", ""]
    lines += [f"- {name}: {text}" for name, text in describe_environment().items()]
    lines += [
        f"- rounds: {rounds}, each {_FLOWS} flows of {_TASKS:,} tasks at {_RATE:,} starts a second",
        f"- load before and after: {loads[0]:.1f}, {loads[1]:.1f}",
        "",
        f"| what | {' | '.join(_TURNS)} | twenty to nobody | nobody again to nobody |",
        "|---|---|---|---|---|---|",
        *rows,
    ]
    name = now.strftime("%Y-%m-%d-%H%M%S-watchers.md")
    (_RESULTS / name).write_text("\n".join(lines) + "\n")
    _out.print("\n".join(lines), markup=False, highlight=False)


if __name__ == "__main__":
    main(sys.argv[1:])
