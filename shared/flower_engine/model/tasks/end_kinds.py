"""How a task has ended, where its status alone does not say it.

In tables and words of the glossary: F finished, P passed over by somebody (an operator, a strike,
``on_failure: pass``), N not taken (passed over by its rule), W not taken by its decision, C cut off by a
cancel, U not needed any more (a join that it alone led to went on with others), V an item that vanished, X
given up. A task that is held (Suspend, and not given up) has not ended.
"""

from typing import Literal

EndedAs = Literal["", "p", "n", "w", "c", "u", "v", "x"]
""""": it is Finish, or has not ended."""

PASSED, NOT_TAKEN, UNMET, CUT_OFF, VANISHED, GIVEN_UP = "p", "n", "w", "c", "v", "x"
UNNEEDED: EndedAs = "u"


def kind_in_redis(ended_as: EndedAs, *, has_value: bool) -> str:
    """What stands behind the status of a task in a flow with rules; what was passed over without a result has
    nothing there."""
    return "" if ended_as == PASSED and not has_value else ended_as
