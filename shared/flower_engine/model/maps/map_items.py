"""The items of a map that is expanded: tasks of its flow as others, and what the map is with them and
without."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from flower_engine.model.definitions.child_flows import (
    ELEMENT,
    ELEMENT_AS,
    GIVEN,
    VERSION,
    VERSIONS,
    WORKFLOW,
)
from flower_engine.model.definitions.definition import PlannedTask, TaskKeys
from flower_engine.model.definitions.map_tasks import (
    AS,
    PARAMETERS,
    PROGRAM,
    limit_of_items,
    on_failure_of_items,
    stops_items,
)
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.model.parameters.references import escaped
from flower_engine.model.waits.wait_parameters import SUBFLOW

_decode = msgspec.json.decode


class Along(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a map that go along those of another one, ``over``, in the event in which that gets its
    own. Each is as ``item`` says (which has no number), and reads one of those, which its references call
    ``ref``."""

    task: int
    over: int
    ref: str
    item: PlannedTask


class Came(NamedTuple):
    """The items of one map in an event: numbered from ``first`` on, each behind an item from ``over`` on
    (0: behind none)."""

    task: int
    first: int
    item: PlannedTask
    over: int = 0
    ref: str = ""


def item_like(
    task: PlannedTask, parameters: Mapping[str, Any], of: tuple[str, int] = ("", 0), over: str = ""
) -> PlannedTask:
    """What all items of a map have in common; ``parameters``: those of the map, of which nothing is to be
    resolved any more; ``of``: its flow and number; ``over``: what its items call the items that they go along
    ("": they go along none). It has no number."""
    program, common = parameters.get(PROGRAM), parameters.get(PARAMETERS, {})
    if WORKFLOW in parameters:
        program = SUBFLOW
        common = {name: parameters[name] for name in (WORKFLOW, VERSION, VERSIONS) if name in parameters}
        given: dict[str, Any] = parameters.get(PARAMETERS, {})
        given = {name: escaped(one) for name, one in given.items()} if over else given
        common |= {GIVEN: given, ELEMENT_AS: parameters[AS]}
    elif over:
        common = {name: escaped(one) for name, one in common.items()}
    if over:
        common = {**common, element_name(parameters): {"$from": int(over) if over.isdigit() else over}}
    return PlannedTask(
        seq=0,
        task_seq=task.task_seq,
        program=program or "",
        priority=task.priority,
        queue=task.queue,
        depends_on=(),
        parameters=common,
        refs=bool(over),
        retry=task.retry,
        timeout_ms=task.timeout_ms,
        queue_timeout_ms=task.queue_timeout_ms,
        units=task.units,
        max_rounds=task.max_rounds,
        fair_key=task.fair_key,
        workflow_key=task.workflow_key,
        program_key=task.program_key,
        definition=task.definition,
        on_failure=on_failure_of_items(parameters, task.on_failure),
        stand_in=task.stand_in,
        window=Window(limit_of_items(parameters), stops_items(parameters, task.on_failure), *of).text,
    )


def element_name(parameters: Mapping[str, Any]) -> str:
    """The parameter of an item that is its element."""
    name: str = ELEMENT if WORKFLOW in parameters else parameters[AS]
    return name


class Given(NamedTuple):
    """What a map gives its items: each one of ``values`` (JSON) as the parameter ``name``, and its keys (():
    they have none of their own). ``item_keys``: by which they are told apart (():
    by their index)."""

    name: str
    values: Sequence[bytes | msgspec.Raw]
    keys: Sequence[TaskKeys] = ()
    item_keys: Sequence[str] = ()


def items_of(task: int, first: int, item: PlannedTask, given: Given) -> Iterator[PlannedTask]:
    """The items of a map, numbered from ``first`` on; ``item``: see ``item_like``."""
    for index, value in enumerate(given.values):
        own = given.keys[index] if given.keys else None
        yield msgspec.structs.replace(
            item,
            seq=first + index,
            item=(task, index),
            item_key=given.item_keys[index] if given.item_keys else "",
            parameters={**item.parameters, given.name: _decode(value)},
            **({} if own is None else msgspec.structs.asdict(own)),
        )


def items_along(came: Came, count: int, item_keys: Sequence[str]) -> Iterator[PlannedTask]:
    """The items of a map that go along those of another one; ``item_keys``: theirs, which these have, too."""
    for index in range(count):
        yield item_along(came, index, item_keys)


def item_along(came: Came, index: int, item_keys: Sequence[str]) -> PlannedTask:
    """One of these."""
    return msgspec.structs.replace(
        came.item,
        seq=came.first + index,
        item=(came.task, index),
        item_key=item_keys[index] if item_keys else "",
        depends_on=(came.over + index,),
        reads={came.ref: came.over + index},
    )


def numbers_of(items: tuple[int, int] | None) -> range:
    """The numbers of items, of ``PlannedTask.items``."""
    return range(0) if items is None else range(items[0], items[0] + items[1])


def with_items(task: PlannedTask, first: int, count: int, along: int = 0) -> PlannedTask:
    """A map that waits for its items; ``along``: the map whose items these go along."""
    numbers = range(first, first + count)
    depends_on = (*task.depends_on, *numbers)
    return msgspec.structs.replace(task, items=(first, count), along=along, depends_on=depends_on)


def without_items(task: PlannedTask) -> PlannedTask:
    """A map that is to be expanded (anew)."""
    if task.items is None:
        return task
    return msgspec.structs.replace(task, items=None, along=0, depends_on=task.own_dependencies)
