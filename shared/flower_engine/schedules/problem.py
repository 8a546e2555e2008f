"""What is wrong with a field of a schedule."""

from typing import Any

import msgspec

from flower_engine.model.values.quoting import short


class Problem(msgspec.Struct, frozen=True):
    """``field`` is the name of a field of :class:`~.schedule.Schedule`; ``message`` says what is wrong with
    it, without its name. ``parameters`` begin with a JSON Pointer to the place in them."""

    field: str
    message: str

    @property
    def sentence(self) -> str:
        """Both, as people read it."""
        return f"{self.field}{'' if self.message.startswith('/') else ': '}{self.message}"


def quoted(value: Any) -> str:
    """A value of any type, as far as it can be shown."""
    try:
        return short(repr(value))
    except (ValueError, RecursionError):  # a number with thousands of digits
        return f"a {type(value).__name__}"
