"""How tasks have ended, and why a rule passed over one, as the API tells it."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from flower_engine.model.tasks.end_kinds import (
    CUT_OFF,
    GIVEN_UP,
    NOT_TAKEN,
    PASSED,
    UNMET,
    UNNEEDED,
    VANISHED,
    EndedAs,
)

EndWord = Literal["passedOver", "notTaken", "cancelled", "unneeded", "vanished", "givenUp"]

END_WORDS: Mapping[EndedAs, EndWord] = {
    PASSED: "passedOver",
    UNMET: "notTaken",
    NOT_TAKEN: "notTaken",
    CUT_OFF: "cancelled",
    UNNEEDED: "unneeded",
    VANISHED: "vanished",
    GIVEN_UP: "givenUp",
}
"""By the letter that the tables have; what is Finish needs no word."""

_LETTERS: Mapping[str, EndedAs] = {word: letter for letter, word in END_WORDS.items()}

Because = Literal[
    "givenUp", "missingValue", "noneTaken", "notFinished", "tooFew", "noFailure", "unknown", "branch"
]


class NotTaken(msgspec.Struct, rename="camel"):
    """Why its rule passed over a task, or its decision (``because`` is ``branch`` then, and ``decision`` says
    what that came to, of what it saw). ``because`` of the tasks ``depends_on`` (by taskExecSeq; at most ten
    of ``count``): one was given up; one ended without the value that the task cannot do without; none was
    taken; one did not finish; fewer than ``needed`` finished or were passed over by somebody, and no more
    can; none failed. ``ends``: how many of all that it depends on ended how (``finished``, or as in
    ``endedAs``)."""

    rule: str
    because: Because
    depends_on: list[int]
    count: int
    ends: dict[str, int]
    needed: int | None = None
    decision: str | None = None


def letter_of(word: EndWord | None) -> EndedAs:
    """The letter of a word; "": there is none."""
    return _LETTERS.get(word or "", "")
