"""What the structs that the API sends have in common: JSON in camelCase, and times in UTC."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from flower_engine.model.values.times import nearest

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class View(msgspec.Struct, rename="camel"):
    """The root of these structs."""


def moment(ms: float) -> datetime:
    """Milliseconds since the Unix epoch as a time in UTC; the nearest one that can be shown."""
    return datetime.fromtimestamp(nearest(ms) / 1000, UTC)


def moment_or_none(ms: int | None) -> datetime | None:
    """The same; None: there is none."""
    return None if ms is None else moment(ms)


def beyond(field: str) -> str:
    """What is told of a field with a time that cannot be shown."""
    return f"{field}: it is beyond the years 1 to 9999, and shown as the nearest time of these"
