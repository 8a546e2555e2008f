"""What a program may raise to say what should follow: another attempt, or none."""

import math
from datetime import timedelta

from flower_engine.model.definition import MAX_DURATION_MS


class Retry(Exception):  # noqa: N818 # it is a wish, not an error
    """Raised by a program to ask for another attempt: ``raise Retry(after=30) from error``.

    Without ``after`` the task's retry policy says when, or, if it has none, the defaults of one. A policy's
    ``max_attempts`` and ``no_retry_on`` bound what a program may ask for; without a policy nothing does.
    """

    after_ms: int = -1  # -1: as the policy says

    def __init__(self, after: float | timedelta | None = None, message: str = "") -> None:
        """``after`` is in seconds.

        Raises:
            ValueError: ``after`` is no time to wait; the attempt fails with it.
        """
        super().__init__(message or "the program asked for another attempt")
        if after is not None:
            self.after_ms = _milliseconds(after)


class Fatal(Exception):  # noqa: N818 # as above
    """Raised by a program to say that no further attempt can help: the task is suspended at once."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or "the program said that no further attempt can help")


def _milliseconds(after: float | timedelta) -> int:
    """Rounded up: an attempt never comes early."""
    seconds = after.total_seconds() if isinstance(after, timedelta) else after
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(  # noqa: TRY004 # one error for all that is wrong with it
            f"Retry(after={after!r}): give seconds as a number, a timedelta, or None;"
            " a text goes in message=..."
        )
    if not 0 <= seconds <= MAX_DURATION_MS / 1000:  # NaN is not, either
        raise ValueError(
            f"Retry(after={after!r}): give 0 to {MAX_DURATION_MS // 1000} seconds (ten years), or None to"
            " leave it to the task's retry policy"
        )
    return math.ceil(seconds * 1000)
