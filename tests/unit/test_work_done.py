"""Whether work is done in time: what is told of it, and when."""

import ast
import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisAwayError

from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import ManualClock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.probes import look
from flower_engine.runtime.work_done import Standing, WorkDone, at_work, watched
from flower_worker.asking import Asking

_log = logging.getLogger("work")
LATE_MS = 15_001


@asynccontextmanager
async def running(loop: Loop[Any], clock: ManualClock) -> AsyncGenerator[None]:
    """The loop runs, and has come to its first rest."""
    task = asyncio.create_task(loop.run())
    try:
        await clock.rests.get()
        yield
    finally:
        await cancel_all([task])


async def test_a_loop_is_late_fifteen_seconds_after_it_was_due() -> None:
    clock = ManualClock()
    calls: list[Exception | None] = [None]

    async def run_once() -> None:
        if calls and (error := calls[0]) is not None:
            raise error

    loop = Loop("looks", run_once, 60.0, SteadyBackoff(_log, "%s", 1.0), clock=clock)
    assert loop.standing() == Standing("looks", None)
    async with running(loop, clock):
        clock.advance(60_000)
        calls[0] = RedisAwayError("nobody is there")
        assert loop.standing() == Standing("looks", 60.0)
        assert await clock.rests.get() == 1.0
        clock.advance(LATE_MS - 1_000)
        await clock.rests.get()
        clock.advance(1_000)
        told = loop.standing()
        assert told.problem == "it has been due for 15 s, and its last try failed: nobody is there"
        calls[0] = None
        await clock.rests.get()
        assert loop.standing() == Standing("looks", 0.0)


async def test_loops_of_a_service_are_watched_while_they_run_but_for_those_that_are_not_urgent() -> None:
    clock, done = ManualClock(), WorkDone("test")

    async def run_once() -> None: ...

    with done.here():
        loops = [Loop(name, run_once, 1.0, None, is_watched=name == "a", clock=clock) for name in ("a", "b")]
        async with running(loops[0], clock), running(loops[1], clock):
            assert [one.name for one in done.standings()] == ["a"]
        assert done.standings() == []


class Always:
    """A piece of work that stands as it is told."""

    def __init__(self, *problems: str | None) -> None:
        self._problems = list(problems)

    def standing(self) -> Standing:
        problem = self._problems.pop(0) if len(self._problems) > 1 else self._problems[0]
        return Standing("it", 1.0, problem)


async def test_a_service_is_ready_while_it_is_at_work_and_all_of_it_is_in_time() -> None:
    done = WorkDone("test")
    with done.here():
        assert (await look(done)).problems[0].startswith("it is not at work")
        with at_work(Always(None)):
            assert (await look(done)).status == "ready"
            with watched(Always("late")):
                assert (await look(done)).problems == ["it: late"]
            with watched(Always("late", None)):
                assert (await look(done)).status == "ready"  # it has had its turn meanwhile
        assert (await look(done)).status == "not ready"


def _of(number: int) -> Callable[[object], int]:
    return lambda _: number


@pytest.mark.parametrize(
    ("given", "room", "light", "late"),
    [
        ({}, 1, True, "it has free slots, and has asked for no task for 20 s"),
        ({}, 0, True, None),
        ({}, 1, False, None),
        ({"claims": False}, 1, True, None),
        ({"answered_at": 10.0}, 1, True, None),
        ({"calling_since": 4.0}, 0, True, "Redis has not answered its call for 16 s"),
        ({"calling_since": 19.0}, 1, True, None),
    ],
)
def test_a_worker_asks_every_two_seconds_if_it_has_room(
    given: dict[str, Any], room: int, light: bool, late: str | None
) -> None:
    """``room``: free slots; there is none for programs that need a process."""
    state = {"answered": 1, "answered_at": 0.0, "calling_since": None, "claims": True, "slot_use": None}
    exchange = SimpleNamespace(**state | given, partition=SimpleNamespace(number=3))
    slots = SimpleNamespace(free=_of(room), room=_of(0))
    clock = ManualClock(20_000)
    asking = Asking(cast("Any", exchange), cast("Any", slots), ("a", "b"), serves_light=light, clock=clock)
    assert (asking.standing().name, asking.standing().problem) == ("queues a, b of partition 3", late)


ROOT = Path(__file__).parents[2]
WATCHED = {
    "services/flower_projector/partition_loop.py",
    "services/flower_projector/partition_shares.py",
    "services/flower_watcher/backfills.py",
    "services/flower_watcher/decisions.py",
    "services/flower_watcher/trees.py",
    "services/flower_watcher/fire_slots.py",
    "services/flower_watcher/flow_control.py",
    "services/flower_watcher/lapse.py",
    "services/flower_watcher/schedule_sync.py",
    "services/flower_watcher/timers.py",
    "services/flower_watcher/workers.py",
    "shared/flower_engine/flows/backlog_bound.py",
    "shared/flower_engine/flows/definition_listener.py",
}
"""Where a loop is made without which its service is not ready. One that waits for somebody, lasts as long as
a connection, or is not urgent is made with ``is_watched=False``: it would make its service unready."""


def test_it_was_decided_of_every_loop_whether_its_service_is_ready_without_it() -> None:
    found: set[str] = set()
    for file in [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]:
        text = file.read_text()
        for node in ast.walk(ast.parse(text)) if "Loop" in text else ():
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id == "Loop" and not any(one.arg == "is_watched" for one in node.keywords):
                found.add(str(file.relative_to(ROOT)))
    assert found == WATCHED
