"""A task's rule, and what follows its failure, as Redis holds them: one text, with names here."""

from typing import Any, NamedTuple

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.map_tasks import gives_up_items, most_given_up
from flower_engine.model.tasks.rule_texts import HOLD, PASS, hold_ms
from flower_engine.model.tasks.rules import READY, TOLERATED, Rule, rule_of
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.waits.wait_parameters import MAP

_encode = msgspec.json.Encoder().encode


def rule_in_force(task: PlannedTask) -> Rule:
    """The rule by which a task starts: of a map that has its items, some of which may be given up, it is
    decided by these."""
    given, on_failure = task.parameters, task.on_failure
    if task.items is not None and task.rule == READY and gives_up_items(given, on_failure):
        return Rule(TOLERATED, most_given_up(given, on_failure, task.items[1]))
    return rule_of(task.rule)


class TaskRules(NamedTuple):
    """Field ``yN`` of a flow's hash; Lua's rules read it."""

    rule: str
    most: int
    on_failure: str
    when: tuple[int, bool] | None
    stand_in: Any
    finally_: bool = False
    cancels: bool = False

    @classmethod
    def of(cls, task: PlannedTask) -> "TaskRules | None":
        """Those of a task; None: it starts when all it waits for has ended, and is held when it fails."""
        is_plain = task.rule == "ready" and task.on_failure == "hold" and task.when is None
        is_map = task.program == MAP
        if is_plain and not task.finally_ and not (is_map and gives_up_items(task.parameters, HOLD)):
            return None
        word, most, _ = rule_in_force(task)
        on_failure, stand_in = task.on_failure, task.stand_in
        if is_map and on_failure == PASS:  # its items are; what stands in is the result of one of them
            on_failure, stand_in = HOLD, None
        return cls(word, most, on_failure, task.when, stand_in, task.finally_, rule_of(task.rule).cancels)

    @property
    def hold_ms(self) -> int | None:
        """After which time a held task is given up; None: never."""
        return hold_ms(self.on_failure)

    def text(self) -> bytes:
        """As the hash holds it: rule, how many it needs, what follows a failure (a time in ms), whose branch
        it is ("3t": if task 3 says true; "-": nobody's), with "~" behind it if it cancels what only it
        needed, and "!" if it cleans up, and its stand-in as JSON (""; it has none)."""
        on_failure = self.on_failure if self.hold_ms is None else f"{HOLD}:{self.hold_ms}"
        stand_in = b"" if self.stand_in is None else spelled_out(_encode(self.stand_in))
        branch = "-" if self.when is None else f"{self.when[0]}{'t' if self.when[1] else 'f'}"
        mark = "~" * self.cancels + "!" * self.finally_
        return f"{self.rule} {self.most} {on_failure} {branch}{mark} ".encode() + stand_in
