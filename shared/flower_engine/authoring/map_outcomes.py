"""``outcomes(results)``: what became of each item of a map, in the place of the list of their results."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast, get_args

from flower_engine.authoring.ref import Ref, Target, refusal, target_of
from flower_engine.model.waits.wait_parameters import MAP
from flower_engine.programs.item_outcomes import Outcome

T = TypeVar("T")


def outcomes(results: Sequence[T]) -> list[Outcome[T]]:
    """What became of each item of a map, whose result this is from here on: ``outcomes(count.map(files))``.

    It is a list with an :class:`~flower_engine.Outcome` for each element of the map's list, also for those
    that were ignored or given up, in its order.

    Raises:
        DefinitionError: it is given no result of a map, or one that is used as a list of results, too.
    """
    target = target_of(cast("Ref[Any]", results)) if isinstance(results, Ref) else None
    task: Any = target.tasks[0] if target is not None and target.tasks and not target.path else None
    if target is None or task is None or task.said["program"] != MAP:
        shown = target.shown if target is not None else repr(results)
        raise refusal(target, f"takes outcomes({shown})", "give it the result of .map(...), whole")
    target.workflow.tell_outcomes(task)
    (element,) = get_args(target.annotation)
    made = Target(
        target.workflow,
        f"outcomes({target.shown})",
        list[Outcome[element]],
        target.form,
        target.tasks,
        has_parts=True,
        is_of_outcomes=True,
    )
    return cast("list[Outcome[T]]", Ref(made))
