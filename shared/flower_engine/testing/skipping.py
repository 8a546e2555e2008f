"""Lets flows go on: what can run is run, and where nothing can, time is moved to what is due next."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from flower_engine.testing.engine import Engine
from flower_engine.testing.faults import FlowerTestError
from flower_engine.testing.private_server import PrivateServer
from flower_engine.testing.program_runs import Attempts
from flower_engine.testing.written_lines import RunLine
from flower_engine.transitions.worker_transitions import Outcome

MOST_SKIPS = 1_000
T = TypeVar("T")


class Skipping:
    """The time of one test. ``skipped_ms``: how much was skipped in all."""

    def __init__(
        self,
        server: PrivateServer,
        engine: Engine,
        attempts: Attempts,
        stubbed: Callable[[], Iterable[str]],
    ) -> None:
        self._server = server
        self._engine = engine
        self._attempts = attempts
        self._stubbed = stubbed
        self.skipped_ms = 0

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs it on the event loop of the engine."""
        return self._server.call(work)

    def lines_of(self, flow: str) -> list[RunLine]:
        """What the flow's tasks have written."""
        return self._attempts.lines_of(flow)

    def work(self) -> int | None:
        """Runs all that can run now; in how many milliseconds a rate lets more start, if one waits for that.

        Raises:
            FlowerTestError: a stub is wrong.
        """
        outcomes: list[Outcome] = []
        while True:
            turn = self.call(self._engine.turn(outcomes, self._stubbed()))
            outcomes = []
            for work in turn.work:
                outcome = self._attempts.run(work)
                if outcome is None:
                    self._engine.hanging[work.claim.flow, work.claim.task] = work.claim
                else:
                    outcomes.append(outcome)
            if not outcomes and not turn.work and not turn.more:
                return turn.opens_ms

    def run_until(self, is_over: Callable[[], bool]) -> None:
        """Runs and skips until it is over, or nothing is due any more.

        Raises:
            FlowerTestError: time was skipped again and again, and it is still not over.
        """
        for _ in range(MOST_SKIPS):
            opens_ms = self.work()
            if is_over():
                return
            due_ms = self._due_ms(opens_ms)
            if due_ms is None:
                return
            self._skip(due_ms)
        raise FlowerTestError(
            f"time was skipped {MOST_SKIPS} times, {self.skipped_ms / 3_600_000:.1f} hours in all, and the"
            " flow has not ended: is there a retry without max_attempts?"
        )

    def let_pass(self, ms: int) -> None:
        """So much time passes; what becomes due and ready meanwhile runs.

        Raises:
            FlowerTestError: a stub is wrong.
        """
        end_ms = self.skipped_ms + ms
        while True:
            due_ms = self._due_ms(self.work())
            left_ms = end_ms - self.skipped_ms
            if due_ms is None or due_ms > left_ms:
                break
            self._skip(due_ms)
        self._skip(left_ms)
        self.work()

    def _due_ms(self, opens_ms: int | None) -> int | None:
        """In how many milliseconds something is due that has not happened yet."""
        is_fired, next_ms = self.call(self._engine.fire())
        if is_fired:
            return 0
        due = [ms for ms in (opens_ms, next_ms) if ms is not None]
        return min(due, default=None)

    def _skip(self, ms: int) -> None:
        self.skipped_ms += ms
        self.call(self._engine.skip_and_fire(ms))
