"""When a delivery that failed is tried again, and when no more. Pure: the caller throws the dice."""

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 3_600.0
GIVE_UP_SECONDS = 86_400.0
_JITTER = 0.2


def delay_seconds(attempt: int, luck: float, asked_seconds: float | None = None) -> float:
    """The seconds before the attempt that follows number ``attempt`` (from 1). ``luck``: 0..1, anew each
    time, so that what failed together does not come back together. ``asked_seconds``: the receiver asked for
    so long, which holds within an hour."""
    doubled = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(attempt - 1, 20))
    wanted = max(doubled, min(asked_seconds or 0.0, LONGEST_SECONDS))
    return wanted * (1 + _JITTER * (luck if asked_seconds else 2 * luck - 1))


def is_over(since_seconds: float, delay: float) -> bool:
    """Whether no attempt is to follow: the next would come more than a day after the first."""
    return since_seconds + delay > GIVE_UP_SECONDS
