"""What timers cost Redis that are due at once: ``python -m benchmarks.timers [TIMERS]`` (10,000).

Of each kind of timer so many become due in one moment, in as many small flows, in some of a thousand tasks,
and in one flow; a watcher moves them as it does. Told are its calls, the longest of them and all together, in
ms of CPU of Redis' main thread as the kernel counts it, which other work on the machine disturbs less than a
clock.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from benchmarks.one_redis import Exchange, Meter, empty_partition, meter_of, run_on_redis
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.model.values.ids import make_flow_id
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.watcher_transitions import fire, lapse
from flower_engine.transitions.worker_transitions import Outcome, OutcomeKind

MOST_MS, MOST_MS_WHOLE = 20.0, 50.0
"""What a call may take, and one that concerns a whole flow for 10,000 tasks of it."""
SLOTS = 100
A_CALL = 500
AN_HOUR = 3_600_000
_NEVER_STALLED = 10**9
_FAILS = RetryPolicy(max_attempts=3, delay_ms=AN_HOUR, max_delay_ms=AN_HOUR)
_ERROR = b'{"type":"ValueError","message":"no"}'


class Kind(NamedTuple):
    """A kind of timer: what a task that has one says, how it gets it, and whether it is of its flow."""

    timer: str
    task: dict[str, Any]
    after: OutcomeKind | None = None
    runs: bool = False
    plan: dict[str, Any] = {}  # noqa: RUF012 # nobody changes it
    start: dict[str, Any] = {}  # noqa: RUF012


KINDS = {
    "sleep that is over": Kind("s", {"program": "@sleep", "parameters": {"seconds": 3600}}),
    "retry": Kind("r", {"retry": _FAILS}, OutcomeKind.FAILED),
    "hold, given up": Kind("g", {"on_failure": "hold:3600"}, OutcomeKind.SUSPENDED),
    "event that did not come": Kind(
        "d", {"program": "@event", "parameters": {"name": "paid", "timeout_seconds": 3600}}
    ),
    "wait for a worker": Kind("q", {"queue_timeout_ms": AN_HOUR}),
    "attempt, retried": Kind("a", {"timeout_ms": AN_HOUR, "retry": _FAILS}, runs=True),
    "delayed start": Kind("b", {}, start={"delay_ms": AN_HOUR}),
    "timeout of a flow": Kind("f", {}, plan={"timeout_ms": AN_HOUR}),
}
_OF_FLOWS = "bf"


def shapes(kind: Kind, timers: int) -> Iterable[tuple[str, int, int]]:
    """In words, so many flows with so many tasks beside each other; of timers of flows there are as many
    tasks. There are flows of 1,000 where there are so many."""
    yield f"{timers:,} flows of 2 tasks", timers, 1
    if timers >= 1_000:
        yield f"{timers // 1_000:,} flows of 1,000", timers // 1_000, 1_000
    yield f"1 flow of {timers:,}", 1, timers


def plan_of(kind: Kind, wide: int) -> FlowPlan:
    """So many tasks with the timer, and one behind each, or behind all of a wide flow."""
    said: dict[str, Any] = {"program": "A", **kind.task}
    tasks = [TaskDefinition(task_seq=seq, depends_on=(), **said) for seq in range(1, wide + 1)]
    if wide == 1:
        tasks.append(TaskDefinition(task_seq=2, program="A", depends_on=(1,)))
    return FlowPlan("bench", plan_flow(WorkflowDefinition(name="bench", tasks=tuple(tasks))), **kind.plan)


class Worker:
    """Claims and hands in."""

    def __init__(self, client: AsyncRedis, partition: Partition) -> None:
        self.exchange = Exchange(client, partition)

    async def run_all(self, tasks: int, after: OutcomeKind | None) -> None:
        """Claims so many, and hands this in."""
        claimed = 0
        while claimed < tasks:
            claims = await self.exchange([], SLOTS)
            claimed += len(claims)
            if after is not None and claims:
                await self.exchange([Outcome(claim, after, _ERROR) for claim in claims], 0)


async def set_up(client: AsyncRedis, kind: Kind, flows: int, wide: int) -> Partition:
    """The flows stand so that each has its timers, and all of these are due."""
    partition = await empty_partition(client)
    plan, worker = plan_of(kind, wide), Worker(client, partition)
    at_once = max(1, A_CALL // wide)
    for first in range(1, flows + 1, at_once):
        numbers = range(first, min(first + at_once, flows + 1))
        starts = [Start(make_flow_id(0, 0, number), plan, **kind.start) for number in numbers]
        await register(client, partition, starts)
        await send(client, "XTRIM", partition.keys.log, "MAXLEN", 0)
    for _ in range(flows * wide // 500 + 1):
        await worker.exchange([], 0)
    if kind.after is not None or kind.runs:
        await worker.run_all(flows * wide, kind.after)
    members: list[bytes] = await send(client, "ZRANGE", partition.keys.timers, 0, -1)
    due = [member for member in members if member[:1] == kind.timer.encode()]
    assert len(due) == (flows if kind.timer in _OF_FLOWS else flows * wide), (kind, len(due))
    for at in range(0, len(due), 1_000):
        await send(client, "ZADD", partition.keys.timers, *[x for m in due[at : at + 1_000] for x in (1, m)])
    return partition


async def fire_all(client: AsyncRedis, partition: Partition, meter: Meter, timers: int) -> list[float]:
    """Moves them as a watcher does; ms of each call."""
    calls: list[float] = []
    await lapse(client, partition, queues=[], lease_ms=AN_HOUR, tick_gap_ms=_NEVER_STALLED, max_lost=3)
    await send(client, "HSET", partition.keys.meta, "grace", 0)  # nothing stood still
    moved = 0
    while True:
        meter.longest.clear()
        found = await fire(client, partition, lease_ms=AN_HOUR, tick_gap_ms=_NEVER_STALLED)
        calls.append(meter.longest["watcher/fire"])
        moved += len(found.fired)
        if found.next_ms != 0 and not found.fired:
            assert moved >= timers, moved
            return calls


async def main(url: str, timers: int) -> None:
    """Prints every case."""
    if timers < 1:
        raise SystemExit("benchmarks.timers: say how many timers there are to be, 1 or more")
    async with connect(url) as client:
        meter = await meter_of(client)
        print(f"\n| {timers:,} timers | in | calls | longest, ms of Redis' CPU | all, ms | us a timer |")
        print("|---|---|---|---|---|---|")
        await fire_all(client, await set_up(client, KINDS["retry"], 10, 1), meter, 10)  # loads the scripts
        for name, kind in KINDS.items():
            for shape, flows, wide in shapes(kind, timers):
                moves = flows if kind.timer in _OF_FLOWS else flows * wide
                calls = await fire_all(client, await set_up(client, kind, flows, wide), meter, moves)
                longest, total = max(calls), sum(calls)
                most = MOST_MS_WHOLE * wide / 10_000 if kind.timer in _OF_FLOWS else 0
                over = "" if longest <= max(MOST_MS, most) else " (over)"
                each = total / (flows * wide) * 1_000
                print(
                    f"| {name} | {shape} | {len(calls)} | {longest:.1f}{over} | {total:.0f} | {each:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    run_on_redis(main, 10_000)
