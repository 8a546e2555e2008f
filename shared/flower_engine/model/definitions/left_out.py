"""Lists side by side (``zipped``) each of which may lack what another one has: where as many elements are
left out of each, pairs would be made of what does not belong together, and nobody would see it.

The list of a map lacks the items that its ``tolerate`` gave up, or its ``on_failure`` passed over, and that
of a map that goes along another one what that lacks. Where a list lacks no more than another one does, they
are of different lengths whenever it matters, and the map is held.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, cast

import msgspec

from flower_engine.model.definitions.map_chains import is_aligned, whole_result
from flower_engine.model.definitions.map_tasks import OUTCOMES, OVER, TOLERATE, ZIPPED
from flower_engine.model.tasks.rule_texts import PASS
from flower_engine.model.tasks.task_spec import TaskSpec
from flower_engine.model.waits.wait_parameters import MAP


class _Lacks(msgspec.Struct, eq=False):
    """The maps by which something may be left out of a list: the last of them, and those before it."""

    map: int
    before: "_Lacks | None"
    count: int


def problems_of_zips(workflow: str, tasks: Sequence[TaskSpec]) -> Iterator[str]:
    """What is wrong with maps over lists side by side, as sentences that name the row."""
    zips = [task for task in tasks if task.program == MAP and task.parameters.get(ZIPPED) is True]
    maps = _Maps(tasks) if zips else None
    for task in zips:
        assert maps is not None
        over: Any = task.parameters.get(OVER)
        lists = cast("list[Any]", over) if isinstance(over, list) else []
        lacking = [lacks for one in lists if (lacks := maps.lacks(whole_result(one))) is not None]
        lacking.sort(key=lambda lacks: lacks.count)
        for fewer, more in pairwise(lacking):
            back: _Lacks | None = more
            while back is not None and back.count > fewer.count:
                back = back.before
            if back is not fewer:
                yield (
                    f"row (task_id {workflow!r}, task_seq {task.task_seq}) is a map ({MAP}), {ZIPPED}: items"
                    f" that fail (on_failure 'pass', or {TOLERATE!r} of tasks {fewer.map} and {more.map})"
                    " would be left out of one list and not of the other, and those behind them paired with"
                    " what is not theirs."
                    f" Let both say {OUTCOMES!r}, which leave out none (outcomes(...) in Python)"
                )


class _Maps:
    """The maps of a workflow, by what references call them."""

    def __init__(self, tasks: Sequence[TaskSpec]) -> None:
        maps = [task for task in tasks if task.program == MAP]
        self._maps = {str(task.task_seq): task for task in maps}
        self._maps |= {task.task_name: task for task in maps if task.task_name is not None}
        self._known: dict[int, _Lacks | None] = {}

    def lacks(self, name: str) -> _Lacks | None:
        """What may be left out of the result that a reference takes; None: nothing."""
        task = self._maps.get(name)
        return None if task is None or task.parameters.get(OUTCOMES) is True else self._of(task)

    def _of(self, task: TaskSpec) -> _Lacks | None:
        chain: list[TaskSpec] = []
        one: TaskSpec | None = task
        while one is not None and one.task_seq not in self._known:
            self._known[one.task_seq] = None  # so that a circle, which others refuse, ends
            chain.append(one)
            one = (
                self._maps.get(whole_result(one.parameters.get(OVER))) if is_aligned(one.parameters) else None
            )
        before = None if one is None else self._known[one.task_seq]
        for link in reversed(chain):
            is_passed = link.on_failure == PASS and link.stand_in is None
            if is_passed or link.parameters.get(TOLERATE) is not None:
                before = _Lacks(link.task_seq, before, 1 if before is None else before.count + 1)
            self._known[link.task_seq] = before
        return before
