"""Times and positions in requests."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import Field

from flower_api.problems import ProblemError
from flower_engine.model.times import BOUNDS, is_time

_CLOCK = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
TIME_PATTERN = f"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_CLOCK})?$"
_DESCRIBED_PATTERN = (
    TIME_PATTERN.replace(
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "(19[7-9][0-9]|[2-8][0-9]{3}|9[0-8][0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    )
    .replace("[0-9]{2}:[0-9]{2}", "([01][0-9]|2[0-3]):[0-5][0-9]")
    .replace("(:[0-9]{2}(", "(:[0-5][0-9](")
)
POSITION_PATTERN = "^[0-9]{1,15}-[0-9]{1,15}$"

_EPOCH = datetime.fromtimestamp(0, UTC)

TimeText = Annotated[str, Field(pattern=TIME_PATTERN, json_schema_extra={"pattern": _DESCRIBED_PATTERN})]
"""A time as clients give it. The description says what :func:`time_of` takes, but for how long a month is;
the check before it is of the form alone, so that :func:`time_of` can say what is wrong."""

At = Annotated[
    str | None,
    Query(
        pattern=f"{POSITION_PATTERN}|{TIME_PATTERN}",
        json_schema_extra={"pattern": f"{POSITION_PATTERN}|{_DESCRIBED_PATTERN}"},
        description="as it was at this time (UTC where no offset is given) or behind this position",
    ),
]


def time_of(text: str, name: str) -> datetime:
    """The time that a text of ``TIME_PATTERN`` means; UTC where no offset is given.

    Raises:
        ProblemError: there is no such time, or no store or reader can hold it; names the parameter.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise wrong(name, f"this is no time: {error}") from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    if not is_time(ms_of(time)):
        raise wrong(name, f"times are from {BOUNDS}, in UTC")
    return time.astimezone(UTC)


def ms_of(time: datetime) -> int:
    """Milliseconds since the Unix epoch; negative before it."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def is_known_time(time: datetime) -> bool:
    """Whether it has an offset, and stores and readers can hold it."""
    return time.tzinfo is not None and is_time(ms_of(time))


def wrong(parameter: str, what: str) -> ProblemError:
    """A 422 about one parameter."""
    fault = {"detail": f"{parameter}: {what}", "parameter": parameter}
    return ProblemError(422, "invalid-request", fault["detail"], problems=[fault])
