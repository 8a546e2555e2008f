"""The one loop: how long it rests, what it bears with, and what ends it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from redis.exceptions import ConnectionError as RedisAwayError
from redis.exceptions import NoPermissionError

from flower_engine.errors import LostError, StoreRefusedError
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.backoff import Backoff, SteadyBackoff, StoreBackoff, StoresBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, ManualClock
from flower_engine.runtime.loop import Loop, until_it_works, until_there
from flower_engine.runtime.redis_loss import Waiting

_log = logging.getLogger("loops")
_LONGEST_SECONDS = 30.0
AWAY = RedisAwayError("no")


class Work:
    """What a loop does: gives or raises what it is told to, in turn, and then the last again and again."""

    def __init__(self, *outcomes: object) -> None:
        self._outcomes = list(outcomes)
        self.calls = 0

    async def run_once(self) -> object:
        self.calls += 1
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Running:
    """A loop under way, on a clock that moves when the test says so."""

    def __init__(
        self, work: Work, interval: float | Callable[[object], float] = 0.5, first_seconds: float = 0.0
    ) -> None:
        self.clock = ManualClock()
        self.stop = asyncio.Event()
        self.loop = Loop(
            "test",
            work.run_once,
            interval,
            StoreBackoff(_log, "Redis", clock=self.clock),
            self.stop,
            first_seconds=first_seconds,
            clock=self.clock,
        )
        self.task = asyncio.create_task(self.loop.run())

    async def rest(self) -> float:
        """The seconds of the next rest, which has begun."""
        async with asyncio.timeout(_LONGEST_SECONDS):
            return await self.clock.rests.get()

    async def go_on(self, seconds: float) -> None:
        self.clock.advance(round(seconds * 1000))

    async def end(self) -> None:
        async with asyncio.timeout(_LONGEST_SECONDS):
            await self.task


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(work: Work, interval: object = 0.5, **named: float) -> Running:
        running.append(Running(work, interval, **named))  # pyright: ignore[reportArgumentType]
        return running[-1]

    yield begin
    await cancel_all([one.task for one in running])


async def _settled() -> None:
    """Whatever can go on without the clock has done so."""
    for _ in range(20):
        await asyncio.sleep(0)


Start = Callable[..., Running]


async def test_it_rests_for_the_interval_between_two_calls(start: Start) -> None:
    work = Work("done")
    running = start(work)
    for calls in (1, 2, 3):
        assert await running.rest() == 0.5
        assert work.calls == calls
        running.clock.advance(499)
        await _settled()
        assert work.calls == calls
        running.clock.advance(1)


async def test_what_a_call_returned_may_say_how_long_it_rests(start: Start) -> None:
    work = Work(3, 0, 7)
    running = start(work, float)
    assert await running.rest() == 3.0
    await running.go_on(3.0)
    assert await running.rest() == 7.0, "and 0 is no rest at all"
    assert work.calls == 3


async def test_its_first_call_may_have_to_wait(start: Start) -> None:
    work = Work("done")
    running = start(work, first_seconds=60.0)
    assert await running.rest() == 60.0
    assert work.calls == 0
    await running.go_on(60.0)
    assert await running.rest() == 0.5
    assert work.calls == 1


async def test_a_loop_that_never_rests_lets_others_run_and_can_be_stopped(start: Start) -> None:
    running = start(Work("done"), 0.0)
    await _settled()
    running.stop.set()
    await running.end()


async def test_it_rests_longer_after_each_failure_and_as_before_when_one_call_worked(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    running = start(Work(*[AWAY] * 8, "done", AWAY, "done"))
    rests: list[float] = []
    for _ in range(10):
        rests.append(await running.rest())
        await running.go_on(rests[-1])
    failures = rests[:8]
    assert failures == sorted(failures) and 0 < failures[0] < failures[-1] == 2.0
    assert rests[8:] == [0.5, failures[0]]
    await running.rest()
    said = [record.getMessage() for record in caplog.records]
    assert [words.split(" (")[0].split(",")[0] for words in said] == [
        "Redis does not answer", "Redis answers again", "Redis does not answer", "Redis answers again",
    ]  # fmt: skip


async def test_a_stop_in_the_middle_of_a_rest_ends_it_at_once(start: Start) -> None:
    for work in (Work("done"), Work(AWAY)):
        running = start(work, 3_600.0)
        await running.rest()
        running.stop.set()
        await running.end()
        assert work.calls == 1


async def test_a_stop_ends_a_rest_by_the_clock_of_the_machine_too() -> None:
    stop = asyncio.Event()
    resting = asyncio.create_task(SYSTEM_CLOCK.rest(3_600.0, stop))
    await _settled()
    stop.set()
    async with asyncio.timeout(_LONGEST_SECONDS):
        await resting


async def test_a_loop_that_is_stopped_before_it_begins_calls_nothing(start: Start) -> None:
    work = Work("done")
    running = start(work)
    running.stop.set()
    await running.end()
    assert work.calls == 0


async def test_a_stop_lets_a_call_end_that_has_begun() -> None:
    stop, go_on, ended = asyncio.Event(), asyncio.Event(), False

    async def slow() -> None:
        nonlocal ended
        stop.set()
        await go_on.wait()
        ended = True

    running = asyncio.create_task(Loop("test", slow, 0.5, None, stop).run())
    await _settled()
    assert not running.done()
    go_on.set()
    async with asyncio.timeout(_LONGEST_SECONDS):
        await running
    assert ended


async def test_it_says_that_it_is_failing_until_a_call_works(start: Start) -> None:
    running = start(Work(AWAY, "done"))
    seconds = await running.rest()
    assert running.loop.is_failing
    await running.go_on(seconds)
    await running.rest()
    assert not running.loop.is_failing


@pytest.mark.parametrize("error", [LostError("gone"), ValueError("a bug")], ids=repr)
async def test_what_no_waiting_heals_ends_it(start: Start, error: Exception) -> None:
    running = start(Work(AWAY, error))
    await running.go_on(await running.rest())
    with pytest.raises(type(error)):
        await running.end()


@pytest.mark.parametrize("error", [AWAY, psycopg.OperationalError("no"), TimeoutError(), OSError()], ids=repr)
async def test_without_a_backoff_every_error_ends_it(error: Exception) -> None:
    with pytest.raises(type(error)):
        await Loop("test", Work(error).run_once, 0.5, None).run()


async def test_a_refusal_ends_what_only_starts_and_is_waited_for_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = Work(NoPermissionError("no"), "done")
    with pytest.raises(StoreRefusedError, match="Redis refuses what Flower needs"):
        await until_it_works(refused.run_once, StoresBackoff(_log, is_start=True))
    clock = ManualClock()
    backoff = StoresBackoff(_log, " (here)", clock=clock)
    waiting = asyncio.create_task(until_it_works(Work(AWAY, "done").run_once, backoff, clock=clock))
    clock.advance(round(1000 * await clock.rests.get()))
    assert await waiting == "done"
    assert "Redis (here) does not answer" in caplog.text


async def test_both_stores_are_waited_for_each_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    backoff = StoresBackoff(_log)
    first = backoff.failed(AWAY)
    assert backoff.failed(AWAY) > first
    assert backoff.failed(psycopg.OperationalError("no")) == first
    backoff.worked()
    assert caplog.text.count("answers again") == 2


async def test_a_steady_backoff_says_each_failure_and_waits_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backoff: Backoff = SteadyBackoff(_log, "nothing this time: %s", 10.0, level=logging.WARNING)
    assert [backoff.failed(AWAY), backoff.failed(AWAY)] == [10.0, 10.0]
    backoff.worked()
    assert caplog.text.count("nothing this time: no") == 2


@pytest.mark.parametrize("where", ["in a rest", "in a call"])
async def test_a_loop_that_is_cancelled_ends(start: Start, where: str) -> None:
    class Endless(Work):
        async def run_once(self) -> object:
            await asyncio.Event().wait()
            raise AssertionError

    running = start(Work("done") if where == "in a rest" else Endless())
    await _settled()
    running.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running.end()


async def test_what_is_looked_for_ends_the_looking() -> None:
    clock, work = ManualClock(), Work(None, None, "there")
    looking = asyncio.create_task(until_there(work.run_once, 0.2, clock=clock))
    for _ in range(2):
        assert await clock.rests.get() == 0.2
        clock.advance(200)
    assert await looking == "there"


async def test_whoever_waits_for_a_recovery_can_be_stopped(caplog: pytest.LogCaptureFixture) -> None:
    clock, stop = ManualClock(), asyncio.Event()
    waiting = asyncio.create_task(Waiting(stop, clock=clock).wait(LostError("a test")))
    await clock.rests.get()
    stop.set()
    async with asyncio.timeout(_LONGEST_SECONDS):
        await waiting
    assert caplog.text.count("waiting for Redis to be recovered (flower recover): a test") == 1
