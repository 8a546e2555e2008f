"""Aligned chains of maps: each item of one waits for the item of another map that has its index, and for no
other.

Such a map has ``aligned``, and ``over`` refers to the whole result of another map. When that gets its items,
it gets its own in the same event, one behind each: they take what that item came to. Where the other one has
come to a list without any (it was empty, an operator gave it, a fork took it over), the list is gone over
as any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from flower_engine.model.definitions.definition_references import DefinitionReferences
from flower_engine.model.definitions.map_tasks import (
    ALIGNED,
    FLAT,
    KEY,
    OUTCOMES,
    OVER,
    OVER_OUTCOMES,
    ZIPPED,
    may_be_given_up,
)
from flower_engine.model.parameters.references import scan_parameters
from flower_engine.model.tasks.rules import READY
from flower_engine.model.tasks.task_spec import TaskSpec
from flower_engine.model.waits.wait_parameters import MAP

_INSTEAD = {
    ZIPPED: "its items would wait for those of several maps, and those of an aligned map wait for one. Let"
    " the map right before it return all that they take, and go along that one",
    FLAT: "how many elements an item comes to nobody knows before it has ended. Go along it with a map of a"
    " workflow ('workflow' instead of 'program'), whose own map goes over what one item came to",
    KEY: "its items have the keys of those that they go along. Say 'key' at the first map of the chain",
}
"""What can be written where the items of an aligned map cannot be as somebody asks for."""


def is_aligned(parameters: Mapping[str, Any]) -> bool:
    """Whether a map goes along the items of another one."""
    return parameters.get(ALIGNED) is True


def whole_result(over: Any) -> str:
    """The task whose whole result this is, as references name it; "": it is something else."""
    if not isinstance(over, dict):
        return ""
    members = cast("dict[str, Any]", over)
    return str(members["$from"]) if members.keys() == {"$from"} else ""


def problems_of_chains(
    workflow: str, tasks: Sequence[TaskSpec], references: DefinitionReferences
) -> Iterator[str]:
    """What is wrong with aligned maps, as sentences that name the row."""
    by_number = {task.task_seq: task for task in tasks}
    for index, task in enumerate(tasks):
        if task.program != MAP or not is_aligned(task.parameters):
            continue
        depends_on = task.depends_on
        if depends_on is None:
            depends_on = [before.task_seq for before in tasks[index - 1 : index]]
        numbers = {*depends_on, *references.producers(index).values()}
        producers = [by_number[one] for one in sorted(numbers) if one in by_number]
        row = f"row (task_id {workflow!r}, task_seq {task.task_seq}) is a map ({MAP}), {ALIGNED},"
        yield from (f"{row} {problem}" for problem in _of_one(task, producers))


def _of_one(task: TaskSpec, producers: Sequence[TaskSpec]) -> Iterator[str]:
    given = task.parameters
    for name in (ZIPPED, FLAT, KEY):
        if given.get(name) not in (None, False):
            yield f"and has {name!r}: {_INSTEAD[name]}; without {ALIGNED!r} it waits for the whole list"
    if given.get(ZIPPED) is True:
        return
    maps = [one for one in producers if one.program == MAP]
    uses = scan_parameters(given).uses
    if not whole_result(given.get(OVER)) or len(uses) != 1 or not maps:
        yield (
            f"and its {OVER!r} is not the whole result of another map, or it takes more than that: its items"
            " take what those of one map come to"
        )
    elif len(producers) > 1 or task.when is not None:
        others = sorted({one.task_seq for one in producers} - {int(maps[0].task_seq)})
        beside = f"task {', '.join(map(str, others))}" if others else "a decision"
        yield (
            f"and waits for {beside}, too: its items wait for those of one map only; without {ALIGNED!r} it"
            " waits for the whole list"
        )
    elif may_be_given_up(maps[0].on_failure):
        yield (
            f"and goes along task {maps[0].task_seq}, which may be given up as a whole (on_failure"
            f" {maps[0].on_failure!r}): its items would have gone on; without {ALIGNED!r} it waits for the"
            " whole list"
        )
    if task.rule != READY:
        yield f"and has the rule {task.rule!r}; an {ALIGNED} map has {READY!r}"
    if task.finally_:
        yield f"and cleans up (finally): an {ALIGNED} map does not"


def told_of_outcomes(parameters: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an aligned map; ``over``: those of the map that it goes along. What that tells of its
    items it does not go over, but what they returned."""
    given = {name: one for name, one in parameters.items() if name != OVER_OUTCOMES}
    return {**given, OVER_OUTCOMES: True} if is_aligned(given) and over.get(OUTCOMES) is True else given
