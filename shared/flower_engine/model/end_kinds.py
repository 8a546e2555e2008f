"""How a task has ended, where its status alone does not say it.

In tables and words of the glossary: F finished, P passed over by somebody (an operator, a strike,
``on_failure: pass``), N not taken (passed over by its rule), C cut off by a cancel, X given up; W (its own
condition) and V (an item that vanished) are for what comes. A task that is held (Suspend, and not given up)
has not ended.
"""

from typing import Literal, get_args

EndedAs = Literal["", "p", "n", "w", "c", "v", "x"]
""""": it is Finish, or has not ended."""

ENDED_AS: tuple[EndedAs, ...] = get_args(EndedAs)
PASSED, NOT_TAKEN, CUT_OFF, GIVEN_UP = "p", "n", "c", "x"
WITHOUT_VALUE = ("n", "w", "v")
"""Kinds that count as not taken for what waits behind."""

WORDS = {
    "p": "passed over",
    "n": "not taken: its rule passed over it",
    "w": "not taken: its condition did not hold",
    "c": "cut off by a cancel",
    "v": "its item vanished",
    "x": "given up",
}


def kind_in_redis(ended_as: EndedAs, *, has_value: bool) -> str:
    """What stands behind the status of a task in a flow with rules; what was passed over without a result has
    nothing there."""
    return "" if ended_as == PASSED and not has_value else ended_as
