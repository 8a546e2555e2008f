"""A task's retries and timeouts as Redis holds them: seven numbers in a row, each with a name here."""

from collections.abc import Sequence
from typing import NamedTuple

from flower_engine.model.tasks.task_spec import RetryPolicy, TaskSpec

_NO_RETRY = RetryPolicy(max_attempts=0)


class TaskPolicy(NamedTuple):
    """Field ``pN`` of a flow's hash, and ``policy`` of a snapshot; ``lua/lib/timers.lua`` reads it.

    ``max_attempts`` 0: no retry policy; timeouts 0: none.
    """

    max_attempts: int
    delay_ms: int
    backoff: float
    max_delay_ms: int
    jitter: float
    timeout_ms: int
    queue_timeout_ms: int

    @classmethod
    def of(cls, task: TaskSpec) -> "TaskPolicy | None":
        """That of a task; None: it has neither retries nor timeouts."""
        if not (task.retry or task.timeout_ms or task.queue_timeout_ms):
            return None
        retry = task.retry or _NO_RETRY
        return cls(
            retry.max_attempts,
            retry.delay_ms,
            retry.backoff,
            retry.max_delay_ms,
            retry.jitter,
            task.timeout_ms or 0,
            task.queue_timeout_ms or 0,
        )

    @classmethod
    def of_numbers(cls, numbers: Sequence[float]) -> "TaskPolicy | None":
        """That of a snapshot; None where there are no numbers.

        Raises:
            ValueError: they are not seven.
        """
        if not numbers:
            return None
        most, delay, backoff, longest, jitter, *timeouts = numbers
        timeout, queue_timeout = map(int, timeouts)
        return cls(int(most), int(delay), backoff, int(longest), jitter, timeout, queue_timeout)

    @classmethod
    def parse(cls, text: str) -> "TaskPolicy | None":
        """That of a flow's hash; None for "".

        Raises:
            ValueError: it is not what :meth:`text` gives.
        """
        return cls.of_numbers([float(part) for part in text.split(" ")] if text else [])

    def text(self) -> str:
        """As the hash holds it."""
        return " ".join(map(repr, self))

    def retry(self, no_retry_on: tuple[str, ...]) -> RetryPolicy | None:
        """The retry policy; the error types travel in the task's message."""
        if not self.max_attempts:
            return None
        return RetryPolicy(
            max_attempts=self.max_attempts,
            delay_ms=self.delay_ms,
            backoff=self.backoff,
            max_delay_ms=self.max_delay_ms,
            jitter=self.jitter,
            no_retry_on=no_retry_on,
        )
