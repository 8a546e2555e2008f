"""Flow control at full size with a real worker, judged from the log: ``python -m benchmarks.flow_control``.

Each scenario prints what it should show and what the log says; the result goes to ``benchmarks/results/``.
"""

import asyncio
import datetime
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import uvloop
from rich.console import Console

from flower_bench.environment import describe_environment
from flower_cli.local.throwaway_deployment import OwnDeployment
from flower_engine.log.partition import Partition, read_meta
from flower_engine.log.reader import read_log
from flower_engine.model.events.attempt_events import TaskFinished, TaskStarted
from flower_engine.model.events.events import AnyEvent, ControlChanged, FlowRegistered, decode_event

SLOTS = 16
_TAIL_EVENTS = "10000000"  # the whole run stays in the log, so that it can be read back
_RESULTS = Path(__file__).with_name("results")
_POLL_SECONDS = 0.05
_ENDED = "SELECT count(*) FROM kr_flow_stat WHERE finished_ts IS NOT NULL"
_out = Console()


class Shown(NamedTuple):
    """A scenario's outcome: what should hold, what the log says, and whether it does."""

    what: str
    should: str
    found: str
    holds: bool


def nap(seq: int, seconds: float, **settings: Any) -> dict[str, Any]:
    """A task that sleeps."""
    parameters = {"SLEEP_TIME_SECOND": str(seconds)}
    return {"taskSeq": seq, "program": "EchoParamTimeSleep", "parameters": parameters, **settings}


async def register(engine: OwnDeployment, workflow: str, count: int) -> list[str]:
    """Registers so many flows in bulk calls."""
    flows: list[str] = []
    for first in range(0, count, 500):
        body = [{"taskId": workflow}] * min(500, count - first)
        reply = (await engine.api.post("/register", json=body)).raise_for_status()
        flows += [entry["taskFlowId"] for entry in reply.json()]
    return flows


async def limit(engine: OwnDeployment, path: str, **settings: Any) -> None:
    """Sets a limit."""
    (await engine.api.put(f"/limits/{path}", json=settings)).raise_for_status()


async def until_ended(engine: OwnDeployment, count: int) -> None:
    """Waits until the projection shows the end of so many flows."""
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        while True:
            row = connection.execute(_ENDED).fetchone()
            if row and int(row[0]) >= count:
                return
            await asyncio.sleep(_POLL_SECONDS)


async def events_of(engine: OwnDeployment) -> list[AnyEvent]:
    """The whole log."""
    meta = await read_meta(engine.redis, 0)
    assert meta is not None
    entries = await read_log(engine.redis, Partition(0, meta.installation, meta.generation), None, 10_000_000)
    return [decode_event(entry.raw) for entry in entries]


def starts_of(events: Sequence[AnyEvent]) -> list[TaskStarted]:
    """The starts, in order."""
    return [event for event in events if isinstance(event, TaskStarted)]


async def urgent(engine: OwnDeployment) -> Shown:
    """(a) One urgent flow among 20,000."""
    await engine.define("low", [nap(1, 0.02, taskPriority=5)])
    await engine.define("urgent", [nap(1, 0.0, taskPriority=-5)])
    await register(engine, "low", 20_000)
    engine.start_worker(SLOTS)
    await until_ended(engine, 200)
    (flow,) = await register(engine, "urgent", 1)
    await until_ended(engine, 2_000)
    events = await events_of(engine)
    at = next(i for i, event in enumerate(events) if isinstance(event, FlowRegistered) and event.flow == flow)
    behind = [event.flow for event in starts_of(events[at:])]
    return Shown(
        "(a) 20,000 low flows wait, one urgent flow is registered",
        "its first task is the next start",
        f"it is start number {behind.index(flow) + 1} after its registration",
        behind[0] == flow,
    )


async def alike(engine: OwnDeployment) -> Shown:
    """(b) Two workflows, one with 50 times the load."""
    for name in ("much", "little"):
        await engine.define(name, [nap(1, 0.002)])
    await register(engine, "much", 50_000)
    little = set(await register(engine, "little", 1_000))
    engine.start_worker(SLOTS)
    await until_ended(engine, 4_000)
    starts = [event.flow in little for event in starts_of(await events_of(engine))]
    last = max(index for index, is_little in enumerate(starts) if is_little)
    counts = [sum(starts[first : first + 200]) for first in range(last - 199)]
    return Shown(
        "(b) two workflows, 50,000 and 1,000 flows, 16 slots, while both wait",
        "any 200 consecutive starts hold 100 of each, give or take 16",
        f"{min(counts)} to {max(counts)} of the smaller one in any 200 ({len(counts):,} windows)",
        min(counts) >= 84 and max(counts) <= 116,
    )


async def three(engine: OwnDeployment) -> Shown:
    """(c) A limit of 3 under 16 slots."""
    await engine.define("naps", [nap(1, 0.01)])
    await limit(engine, "program/EchoParamTimeSleep", maxRunning=3)
    await register(engine, "naps", 1_000)
    engine.start_worker(SLOTS)
    await until_ended(engine, 1_000)
    running, left, counts = 0, 1_000, Counter[int]()
    events = [event for event in await events_of(engine) if isinstance(event, TaskStarted | TaskFinished)]
    most = 0
    for event, following in pairwise([*events, None]):
        running += 1 if isinstance(event, TaskStarted) else -1
        left -= isinstance(event, TaskStarted)
        most = max(most, running)
        if left and isinstance(event, TaskStarted) and not isinstance(following, TaskStarted):
            counts[running] += 1  # a call has claimed what it could, and tasks wait still
    return Shown(
        "(c) a limit of 3 on a program, 16 slots, 1,000 tasks",
        "never 4 at once, never fewer than 3 after a claim while tasks wait",
        f"at most {most} at once; after claims: {dict(sorted(counts.items()))}",
        most == 3 and set(counts) == {3},
    )


async def further_ahead(engine: OwnDeployment) -> Shown:
    """(d) Of two waiting flows of one workflow the one further ahead goes first; one at a time never mix."""
    await engine.define("line", [nap(seq, 0.001) for seq in (1, 2, 3)])
    flows = await register(engine, "line", 500)
    engine.start_worker(1)
    await until_ended(engine, 500)
    engine.stop_worker()
    one_by_one = [event.flow for event in starts_of(await events_of(engine))]
    await engine.define("pair", [nap(seq, 0.001, dependsOn=[]) for seq in (1, 2)])
    await limit(engine, "workflow/pair", maxFlows=1)
    pairs = set(await register(engine, "pair", 300))
    engine.start_worker(SLOTS)
    await until_ended(engine, 800)
    mixed = [event.flow for event in starts_of(await events_of(engine)) if event.flow in pairs]
    changes = sum(one != other for one, other in pairwise(one_by_one))
    changes_of_pairs = sum(one != other for one, other in pairwise(mixed))
    return Shown(
        "(d) the seed's ordering: 500 flows of 3 tasks, one slot; 300 flows of two roots, one at a time",
        "flows end one after another; two flows of the workflow never run at once",
        f"{changes + 1} runs of starts for 500 flows; {changes_of_pairs + 1} for 300",
        changes == len(flows) - 1 and changes_of_pairs == 299,
    )


async def rated(engine: OwnDeployment) -> Shown:
    """(e) A rate of 50 a second for ten seconds."""
    await engine.define("naps", [nap(1, 0.0)])
    await limit(engine, "program/EchoParamTimeSleep", rate=50, ratePeriodSeconds=1)
    await register(engine, "naps", 1_000)
    engine.start_worker(SLOTS)
    await until_ended(engine, 700)
    at = [event.at for event in starts_of(await events_of(engine))]
    within = sum(one < at[0] + 10_000 for one in at)
    worst = max(
        sum(first <= one < first + 1_000 for one in at[index : index + 60]) for index, first in enumerate(at)
    )
    return Shown(
        "(e) a rate of 50 a second, 10 s",
        "500 starts, give or take one period; never more than 50 in any second",
        f"{within} starts in the first 10 s; at most {worst} in any second",
        450 <= within <= 550 and worst <= 50,
    )


async def paused(engine: OwnDeployment) -> Shown:
    """(f) A pause in the middle of 1,000 flows."""
    await engine.define("naps", [nap(seq, 0.005) for seq in (1, 2)])
    await register(engine, "naps", 1_000)
    engine.start_worker(SLOTS)
    await until_ended(engine, 300)
    await limit(engine, "workflow/naps", isPaused=True)
    await asyncio.sleep(2.0)
    (await engine.api.delete("/limits/workflow/naps")).raise_for_status()
    await until_ended(engine, 1_000)
    events = await events_of(engine)
    begin, end = (index for index, event in enumerate(events) if isinstance(event, ControlChanged))
    within, after = len(starts_of(events[begin:end])), len(starts_of(events[end:]))
    return Shown(
        "(f) a pause of 2 s in the middle of 1,000 flows of 2 tasks",
        "nothing starts in it; after it all end",
        f"{within} starts in it, {after} after it, all 1,000 ended",
        within == 0 and after > 0,
    )


SCENARIOS: tuple[Callable[[OwnDeployment], Awaitable[Shown]], ...] = (
    *(urgent, alike, three, further_ahead, rated, paused),
)


async def measure() -> list[Shown]:
    """Every scenario, each on an engine of its own."""
    shown: list[Shown] = []
    for scenario in SCENARIOS:
        async with OwnDeployment.started(FLOWER_LOG_TAIL_EVENTS=_TAIL_EVENTS) as engine:
            shown.append(await scenario(engine))
        _out.print(
            f"{'holds' if shown[-1].holds else 'FAILS'}: {shown[-1].what}: {shown[-1].found}", highlight=False
        )
    return shown


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        shown = runner.run(measure())
    now = datetime.datetime.now(tz=datetime.UTC)
    lines = [f"- date: {now.isoformat(timespec='seconds')}"]
    lines += [f"- {name}: {text}" for name, text in describe_environment().items()]
    lines += ["", "| scenario | should | the log says | holds |", "|---|---|---|---|"]
    lines += [
        f"| {one.what} | {one.should} | {one.found} | {'yes' if one.holds else 'NO'} |" for one in shown
    ]
    name = now.strftime("%Y-%m-%d-%H%M%S-flow-control.md")
    (_RESULTS / name).write_text("\n".join(lines) + "\n")
    _out.print(f"written to benchmarks/results/{name}", highlight=False)


if __name__ == "__main__":
    main()
