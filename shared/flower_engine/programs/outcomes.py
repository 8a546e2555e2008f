"""What a program may raise to say what is to follow its failure."""

import math
from datetime import timedelta
from typing import Any

from flower_engine.model.task_spec import MAX_DURATION_MS

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
        if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds * 1000 <= MAX_DURATION_MS):
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


class Fatal(Exception):  # noqa: N818 # as above
    """Suspends the task at once, whatever its retry policy: ``raise Fatal("no such customer")``."""
