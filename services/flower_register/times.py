"""Times and positions in requests."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query

from flower_register.problems import ProblemError

_CLOCK = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
TIME_PATTERN = f"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_CLOCK})?$"
POSITION_PATTERN = "^[0-9]{1,15}-[0-9]{1,15}$"

At = Annotated[
    str | None,
    Query(
        pattern=f"{POSITION_PATTERN}|{TIME_PATTERN}",
        description="as it was at this time (UTC where no offset is given) or behind this position",
    ),
]


def time_of(text: str, name: str) -> datetime:
    """The time that a text of ``TIME_PATTERN`` means; UTC where no offset is given.

    Raises:
        ProblemError: there is no such time; names the parameter.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise wrong(name, f"this is no time: {error}") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def wrong(parameter: str, what: str) -> ProblemError:
    """A 422 about one parameter."""
    fault = {"detail": f"{parameter}: {what}", "parameter": parameter}
    return ProblemError(422, "invalid-request", fault["detail"], problems=[fault])
