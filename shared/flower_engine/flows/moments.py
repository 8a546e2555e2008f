"""Moments as people write them."""

from datetime import UTC, datetime

from flower_engine.errors import TimeError
from flower_engine.model.values.times import BOUNDS, is_time, ms_of


def time_of(text: str, name: str) -> datetime:
    """The time that a text in ISO 8601 means; UTC where no offset is given.

    Raises:
        TimeError: there is no such time, or no store or reader can hold it; names the parameter.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise TimeError(name, f"this is no time: {error}") from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    if not is_time(ms_of(time)):
        raise TimeError(name, f"times are from {BOUNDS}, in UTC")
    return time.astimezone(UTC)
