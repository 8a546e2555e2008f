"""What a program may raise to say what is to follow its failure."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from flower_engine.model.tasks.durations import Duration, duration_ms
from flower_engine.model.tasks.task_spec import MAX_DURATION_MS

NOT_SAID = -1
"""For ``after_ms``: the task's retry policy says when."""


class Retry(Exception):  # noqa: N818 # a program asks for something; that is no error of anybody's
    """Asks for another attempt: ``raise Retry(after=30)``.

    Without ``after`` the task's retry policy says when. Where the policy sets ``max_attempts`` that bounds
    these retries, too; without one a program may ask as often as it likes.
    """

    def __init__(self, message: str = "", *, after: float | timedelta | None = None) -> None:
        """``after`` is in seconds, or a timedelta.

        Raises:
            ValueError: it is negative, not a number, or longer than ten years.
        """
        super().__init__(message or "the program asked for another attempt")
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        if seconds is not None and not 0 <= seconds * 1000 <= MAX_DURATION_MS:
            raise ValueError(f"Retry(after={after!r}): give 0 seconds to ten years, or nothing")
        self.after_ms = NOT_SAID if seconds is None else round(seconds * 1000)


def after_ms_of(error: Any) -> int:
    """In how many ms a raised Retry asks for another attempt; -1: it does not say. A class that derives from
    it may have left that out, or made something else of it."""
    try:
        after_ms = error.after_ms
    except BaseException:  # noqa: BLE001 # the program's code: anything may come
        return NOT_SAID
    return after_ms if type(after_ms) is int and 0 <= after_ms <= MAX_DURATION_MS else NOT_SAID


class Again(Exception):  # noqa: N818 # as above
    """Asks for another round of the task, or of its flow: ``raise Again({"cursor": 40}, after="30s")``.

    What is given holds in the next round in place of the parameters of these names, and in those behind it,
    unless they are given others; parameters that are not named stay as they are. Without ``after`` or ``at``
    the round begins at once. Failures are counted anew in each. Nothing of it is an error: what depends on
    the task waits until a round returns.

    ``of="flow"``: of the whole flow, which is a sub-flow of another one. This round of it is over then: what
    has not ended is cut off, but for its cleanup; and the task of the other flow has the next one done, by a
    flow of its own, which gets what is given in place of the parameters of these names that the task says.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        after: Duration | None = None,
        at: datetime | None = None,
        of: Literal["task", "flow"] = "task",
    ) -> None:
        """``after``: ``"30s"``, ``"1h30m"``, a timedelta, or seconds; ``at``: a moment with a time zone.

        Raises:
            TypeError: ``parameters`` are no mapping by names.
            ValueError: both times are given, or one that is none, or more than ten years away; or it is of
                neither of the two.
        """
        super().__init__()
        if of not in ("task", "flow"):
            raise ValueError(f"Again(of={of!r}): give 'task' or 'flow'")
        self.of = of
        self.parameters = _named(parameters)
        if after is not None and at is not None:
            raise ValueError("Again(after=..., at=...): give one of the two")
        self.after_ms = 0
        self.at_ms: int | None = None
        if after is not None:
            try:
                self.after_ms = duration_ms(after)
            except ValueError as error:
                raise ValueError(f"Again(after={after!r}): {after!r} {error}") from None
        elif at is not None:
            self.at_ms = _moment_ms(at)

    def __str__(self) -> str:
        return f"the program asked for another round{' of its flow' if self.of == 'flow' else ''}"


def _named(parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    given: dict[Any, Any] = {}
    if isinstance(parameters, Mapping):
        given = dict(cast("Mapping[Any, Any]", parameters))
    if not isinstance(parameters, Mapping) or not all(isinstance(name, str) for name in given):
        raise TypeError("Again(parameters): give parameters by their names, as a dict")
    return given


def _moment_ms(at: Any) -> int:
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ValueError(f"Again(at={at!r}): give a moment with a time zone, as datetime.now(UTC)")
    at_ms = max(0, round(at.timestamp() * 1000))
    if at_ms > time.time() * 1000 + MAX_DURATION_MS:
        raise ValueError(f"Again(at={at!r}): that is more than ten years away")
    return at_ms


class Fatal(Exception):  # noqa: N818 # as above
    """Suspends the task at once, whatever its retry policy: ``raise Fatal("no such customer")``."""
