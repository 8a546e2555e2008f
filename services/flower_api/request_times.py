"""Times and positions in requests."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field

from flower_api.problems import ProblemError
from flower_engine.model.values.times import is_time, ms_of

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

TimeText = Annotated[str, Field(pattern=TIME_PATTERN, json_schema_extra={"pattern": _DESCRIBED_PATTERN})]
"""A time as clients give it. The description says what ``flows/moments.py`` takes, but for how long a month
is; the check before it is of the form alone, so that it can say what is wrong."""

At = Annotated[
    str | None,
    Query(
        pattern=f"{POSITION_PATTERN}|{TIME_PATTERN}",
        json_schema_extra={"pattern": f"{POSITION_PATTERN}|{_DESCRIBED_PATTERN}"},
        description="as it was at this time (UTC where no offset is given) or behind this position",
    ),
]

AtLeast = Annotated[
    int | None,
    Query(
        alias="atLeast",
        ge=0,
        le=2**53,
        description="a version that the caller knows of, as an operation answered it: waited for, 2 seconds"
        " at most, or as `wait` says; `isBehind` of a flow says that the answer is older",
    ),
]


def is_known_time(time: datetime) -> bool:
    """Whether it has an offset, and stores and readers can hold it."""
    return time.tzinfo is not None and is_time(ms_of(time))


def wrong(parameter: str, what: str) -> ProblemError:
    """A 422 about one parameter."""
    fault = {"detail": f"{parameter}: {what}", "parameter": parameter}
    return ProblemError(422, "invalid-request", fault["detail"], problems=[fault])
