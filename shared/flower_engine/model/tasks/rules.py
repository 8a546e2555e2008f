"""Rules: whether a task starts, is passed over or waits, from how its dependencies stand.

The table of ``docs/lifecycle.md``, literally. An edge is how a dependency stands, and whether it brings a
value that the task cannot do without. Nothing here knows of flows; ``fold_rules.py`` does.
"""

from collections.abc import Iterable
from enum import Enum
from functools import cache
from typing import Literal, NamedTuple, Self

import msgspec

from flower_engine.model.tasks.end_kinds import EndedAs
from flower_engine.model.tasks.status import Status

READY, FINISHED, SETTLED, ANY, AT_LEAST, FAILED = "ready", "finished", "settled", "any", "at_least", "failed"
CANCEL = "cancel"
"""What ``any`` and ``at_least`` say behind a colon where the others are not needed then."""
TOLERATED = "tolerated"
"""The rule of a map with items some of which may be given up; no definition says it."""

Standing = Literal[
    "open", "held", "finished", "passed", "not_taken", "given_up", "undecided", "taken", "barred"
]
"""How a dependency stands: it waits or runs; it is held; or how it has ended. What a cancel cut off counts as
passed over without a value; a condition that did not hold as not taken. The last three
are of the decision whose branch a task is: nobody knows yet, the branch is taken, or it never will be."""


class Decision(Enum):
    """What becomes of a task that waits."""

    START = "start"
    PASS = "pass"
    WAIT = "wait"


START, PASS, WAIT = Decision.START, Decision.PASS, Decision.WAIT


class Rule(NamedTuple):
    """A rule taken apart; ``most``: how many dependencies ``any`` and ``at_least`` need, and how many
    may be given up by ``tolerated``. ``cancels``: what only it needs is cancelled once it has these."""

    word: str
    most: int = 0
    cancels: bool = False

    @property
    def picks(self) -> bool:
        """Whether it uses some of the dependencies only, which are fixed when the task starts."""
        return self.word in (AT_LEAST, FAILED)


class Edge(NamedTuple):
    """A dependency as its dependent sees it. ``says``: of a decision that has finished, what it came to."""

    stands: Standing
    needs_value: bool = False
    has_value: bool = False
    says: bool | None = None

    def gate(self, wanted: bool) -> "Edge":  # it is what a definition says
        """The same as a branch sees it that is taken if the decision says this."""
        if self.stands in ("open", "held"):
            return Edge("undecided")
        is_taken = self.stands == "finished" and self.says is wanted
        return Edge("taken" if is_taken else "barred")

    def opened(self) -> "Edge":
        """The same once the dependency waits again."""
        is_gate = self.stands in ("undecided", "taken", "barred")
        return Edge("undecided" if is_gate else "open", self.needs_value)


class Edges(msgspec.Struct):
    """The dependencies of a task, counted by how they stand. ``missing``: those that have ended without the
    value that the task cannot do without."""

    open: int = 0
    held: int = 0
    finished: int = 0
    passed: int = 0
    not_taken: int = 0
    given_up: int = 0
    undecided: int = 0
    taken: int = 0
    barred: int = 0
    missing: int = 0

    @classmethod
    def of(cls, edges: Iterable[Edge]) -> Self:
        counts = cls()
        for edge in edges:
            counts.add(edge, 1)
        return counts

    def add(self, edge: Edge, by: int) -> None:
        """Counts so many more of them, or less."""
        setattr(self, edge.stands, getattr(self, edge.stands) + by)
        if edge.needs_value and not edge.has_value and edge.stands not in ("open", "held", "undecided"):
            self.missing += by

    @property
    def used(self) -> int:
        """How many bring what a task is there for."""
        return self.finished + self.passed


@cache
def rule_of(text: str) -> Rule:
    """The rule that a definition says."""
    kept = text.removesuffix(f":{CANCEL}")
    word, _, most = kept.partition(":")
    if word == ANY:
        return Rule(AT_LEAST, 1, kept != text)
    return Rule(word, int(most) if most else 0, kept != text)


def stands_as(status: Status, ended_as: EndedAs) -> Standing:
    """How a task stands for those behind it."""
    if status is Status.FINISH:
        return "finished"
    if status is Status.IGNORE:
        return "passed" if ended_as in ("p", "c") else "not_taken"
    if status is Status.SUSPEND:
        return "given_up" if ended_as == "x" else "held"
    return "open"


def is_picked(rule: Rule, stands: Standing) -> bool:
    """Whether a rule that picks its dependencies may use one that stands so."""
    return stands in (("held", "given_up") if rule.word == FAILED else ("finished", "passed"))


def decide(rule: str, edges: Iterable[Edge]) -> Decision:
    """What becomes of a task that waits and has not begun, by its rule."""
    return decided(rule_of(rule), Edges.of(edges))


def decided(rule: Rule, edges: Edges) -> Decision:
    """The same from edges that are counted. A branch that is not taken is passed over whatever its rule says;
    one of which nobody knows waits, unless its rule passes over it."""
    if edges.barred:
        return PASS
    found = decided_by_rule(rule, edges)
    return WAIT if found is START and edges.undecided else found


def decided_by_rule(rule: Rule, edges: Edges) -> Decision:
    """The same, whatever the decision says whose branch the task is."""
    unsettled = edges.open + edges.held
    match rule.word:
        case "ready":
            if edges.given_up or edges.missing:
                return PASS
            if unsettled:
                return WAIT
            return PASS if edges.not_taken and not edges.used else START
        case "finished":
            if edges.passed or edges.not_taken or edges.given_up:
                return PASS
            return WAIT if unsettled else START
        case "settled":
            return WAIT if unsettled else START
        case "tolerated":
            return START if edges.given_up > rule.most or not unsettled else WAIT
        case "at_least":
            if edges.used >= rule.most:
                return START
            return WAIT if edges.used + unsettled >= rule.most else PASS
        case "failed":
            if edges.held or edges.given_up:
                return START
            return WAIT if unsettled else PASS
        case _:
            raise ValueError(f"{rule.word!r} is no rule")
