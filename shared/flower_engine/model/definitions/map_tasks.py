"""Maps (program ``@map``) as definitions have them: a program that runs once for each element of a list.

Such a task has no worker of its own. Its parameter ``over`` is a list, or refers to one; ``program`` runs
for each element, which it takes as its parameter ``as``, and all get ``parameters`` beside it. With
``workflow`` in the place of ``program`` a flow of that does each item, its child (``child_flows.py``). Queue,
priority, units, retries and timeouts of the row are those of the items. Its result is the list of theirs, in
the order of the list; with ``outcomes`` a list that says of each item what became of it. At most ``limit``
items run at once; where flows do them, so many of these go on. With ``tolerate`` items that fail for good are
given up, and the map fails if they are more than so many (a whole number), or than this share of them.
``on_failure`` of the row is that of each item, and of the map itself, but for ``pass``, whose stand-in is
that of an item. With ``key`` (a JSON Pointer into the element; "": the element itself) items are told apart
by what stands there. With ``zipped`` the list holds lists, which the map goes over side by side: an element
is the list of theirs; with ``flat`` it goes over one after another. With ``aligned`` it goes along the items
of another map, each of its own behind one of these (``map_chains.py``).
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

from flower_engine.model.definitions.child_flows import VERSION, VERSIONS, WORKFLOW
from flower_engine.model.parameters.references import holds_references, scan_parameters
from flower_engine.model.tasks.rule_texts import GIVE_UP, HOLD, PASS, hold_ms
from flower_engine.model.tasks.rules import FINISHED, READY, SETTLED
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH, WAIT_MARK, TaskSpec
from flower_engine.model.values.json_pointer import problem_of_pointer
from flower_engine.model.values.quoting import short
from flower_engine.model.waits.wait_parameters import MAP, SUBFLOW

OVER, PROGRAM, AS, PARAMETERS = "over", "program", "as", "parameters"
ZIPPED, FLAT = "zipped", "flat"
LIMIT, TOLERATE, OUTCOMES, KEY, ALIGNED = "limit", "tolerate", "outcomes", "key", "aligned"
_TAKES = (OVER, PROGRAM, WORKFLOW, AS, PARAMETERS, ZIPPED, FLAT, ALIGNED, KEY, LIMIT, TOLERATE, OUTCOMES)
KEYS = "keys"
"""Of a planned map: which keys of its items are the elements, as ``TaskKeys`` names them."""
OVER_OUTCOMES = "over_outcomes"
"""Of a planned map that is aligned: whether the list of the other one says what became of its items."""
RULES = (READY, FINISHED, SETTLED)
"""Rules that a map may have: by others it could begin while what it waits for goes on."""

MOST_ITEMS = 10_000
"""Of one map."""
MOST_TASKS = 100_000
"""Of a flow, with all items that it ever had."""
MAX_ITEM_BYTES = 64 * 1024
"""Of what one item is given, as JSON."""
MAX_KEY_LENGTH = 256
"""Of the key of an item, in characters."""
MAX_GIVEN_BYTES = 16 * 1024 * 1024
"""Of what all items of a map are given together."""


def problems_of_maps(workflow: str, tasks: Sequence[TaskSpec], secrets: Collection[str]) -> Iterator[str]:
    """What is wrong with maps, as sentences that name the row. ``secrets``: parameters of the flow that are
    names of secrets."""
    for task in tasks:
        if task.program == MAP:
            row = f"row (task_id {workflow!r}, task_seq {task.task_seq}) is a map ({MAP})"
            yield from (f"{row} {problem}" for problem in _of_map(task, secrets))


def _of_map(task: TaskSpec, secrets: Collection[str]) -> Iterator[str]:
    given = task.parameters
    for name in given:
        if name in (VERSION, VERSIONS):
            yield f"and says its {name!r}: the versions of a tree are fixed when a flow begins"
        elif name not in _TAKES:
            yield f"and has no parameter {short(name)!r}; it takes {', '.join(_TAKES)}"
    for name in (OVER, AS):
        if name not in given:
            yield f"and lacks the parameter {name!r}"
    if (PROGRAM in given) == (WORKFLOW in given):
        what = "has both of" if PROGRAM in given else "lacks one of"
        yield f"and {what} {PROGRAM!r} and {WORKFLOW!r}, which says what runs for each element"
    over = given.get(OVER, [])
    if not isinstance(over, list) and not holds_references(over):
        yield f"and its {OVER!r} is {short(repr(over))}: it is a list, or a reference to one"
    yield from _of_lists(given)
    yield from _of_items(given)
    yield from _of_bounds(given)
    if WORKFLOW in given:
        yield from _of_children(task)
    found = scan_parameters(given)
    for name in (*found.secrets, *(one for one in secrets if one in found.params)):
        yield f"and takes the secret {short(name)!r}: items are given values, which history shows"
    kind, rules = _rules_of(task)
    if task.rule not in rules:
        yield f"and has the rule {short(task.rule)!r}; a map{kind} has one of {', '.join(rules)}"
    if kind and task.finally_:
        yield f"and cleans up (finally):{kind} it does not"
    if TOLERATE in given and task.on_failure == PASS:
        yield f"and has {TOLERATE!r} with on_failure {PASS!r}, by which none is given up: say one of them"


def _rules_of(task: TaskSpec) -> tuple[str, tuple[str, ...]]:
    """The rules that a map may have, and why no others."""
    if TOLERATE in task.parameters:
        return f" with {TOLERATE!r}", (READY,)
    if gives_up_items(task.parameters, task.on_failure):
        return f" with on_failure {short(task.on_failure)!r}", (READY,)
    return "", RULES


def _of_children(task: TaskSpec) -> Iterator[str]:
    name = task.parameters[WORKFLOW]
    if not isinstance(name, str) or not name or len(name) > MAX_NAME_LENGTH:
        yield f"and its {WORKFLOW!r} is {short(repr(name))}: it is the name of a workflow, as text"
    for field in ("retry", "timeout_ms", "queue_timeout_ms"):
        if getattr(task, field) is not None:
            yield f"and has {field}: what does its items are flows, whose workflow says that of its own tasks"
    if task.units != 1:
        yield f"and weighs {task.units} units: flows, which do its items, take no room of any limit"


def _of_lists(given: Mapping[str, Any]) -> Iterator[str]:
    for name in (ZIPPED, FLAT, ALIGNED):
        if not isinstance(given.get(name, False), bool):
            yield f"and its {name!r} is {short(repr(given[name]))}: it is true or false"
    over = given.get(OVER)
    if given.get(ZIPPED) is True:
        if given.get(FLAT) is True:
            yield f"and is {ZIPPED!r} and {FLAT!r}: it is one of them"
        if isinstance(over, list) and len(cast("list[Any]", over)) < 2:
            yield f"and is {ZIPPED!r}: its {OVER!r} has two lists, or more"


def _of_items(given: Mapping[str, Any]) -> Iterator[str]:
    program = given.get(PROGRAM, "p")
    if not isinstance(program, str) or not 0 < len(program) <= MAX_NAME_LENGTH or not program.isprintable():
        yield f"and its {PROGRAM!r} is {short(repr(program))}: it is the name of a program"
    elif program.startswith(WAIT_MARK):
        yield f"and its {PROGRAM!r} is {short(program)!r}: only programs that workers run can be mapped"
    name = given.get(AS, "a")
    if not isinstance(name, str) or not name:
        yield f"and its {AS!r} is {short(repr(name))}: it is the name of the parameter that takes the element"
    others = given.get(PARAMETERS, {})
    if not isinstance(others, dict):
        yield f"and its {PARAMETERS!r} are {short(repr(others))}: they are an object"
    elif name in cast("dict[str, Any]", others):
        yield f"and its {PARAMETERS!r} have {short(str(name))!r}, which each element is given as"


def _of_bounds(given: Mapping[str, Any]) -> Iterator[str]:
    limit, tolerate, outcomes = given.get(LIMIT, 1), given.get(TOLERATE, 0), given.get(OUTCOMES, False)
    key = given.get(KEY, "")
    if not isinstance(key, str):
        yield f"and its {KEY!r} is {short(repr(key))}: it says where in an element its key stands"
    elif problem := problem_of_pointer(key):
        yield f"and its {KEY!r} {short(key)!r} {problem}"
    if not is_limit(limit):
        yield f"and its {LIMIT!r} is {short(repr(limit))}: it is a whole number of 1..{MOST_ITEMS}"
    if not is_tolerance(tolerate):
        yield (
            f"and its {TOLERATE!r} is {short(repr(tolerate))}: it is a whole number of 0..{MOST_ITEMS}, or a"
            " share between 0 and 1"
        )
    if not isinstance(outcomes, bool):
        yield f"and its {OUTCOMES!r} is {short(repr(outcomes))}: it is true or false"


def is_limit(value: object) -> bool:
    """Whether it says how many items may run at once."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_ITEMS


def is_tolerance(value: object) -> bool:
    """Whether it says how many items may be given up: a whole number, or a share of them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= MOST_ITEMS if isinstance(value, int) else 0 < value < 1


def limit_of_items(parameters: Mapping[str, Any]) -> int | None:
    """How many items of a map may run at once; None: any number."""
    return parameters.get(LIMIT)


def may_be_given_up(on_failure: str) -> bool:
    """Whether what fails is given up by this, at once or after a time."""
    return on_failure == GIVE_UP or hold_ms(on_failure) is not None


def gives_up_items(parameters: Mapping[str, Any], on_failure: str) -> bool:
    """Whether items of a map that fail for good are given up, at once or after a time."""
    return TOLERATE in parameters or may_be_given_up(on_failure)


def on_failure_of_items(parameters: Mapping[str, Any], on_failure: str) -> str:
    """What follows the failure of each item of a map."""
    return GIVE_UP if on_failure == HOLD and TOLERATE in parameters else on_failure


def stops_items(parameters: Mapping[str, Any], on_failure: str) -> bool:
    """Whether a map is judged as soon as more items were given up than it tolerates, and the others do not
    start while it is held. One that may be given up itself is judged when all of its items have ended: they
    would be left behind it."""
    return TOLERATE in parameters and on_failure == HOLD


def tolerated(parameters: Mapping[str, Any], count: int) -> int:
    """How many of so many items of a map may be given up."""
    tolerate: int | float = parameters.get(TOLERATE, 0)
    return tolerate if isinstance(tolerate, int) else math.floor(tolerate * count)


def most_given_up(parameters: Mapping[str, Any], on_failure: str, count: int) -> int:
    """With how many of so many items given up a map waits for the others."""
    return tolerated(parameters, count) if stops_items(parameters, on_failure) else count


def tells_outcomes(parameters: Mapping[str, Any]) -> bool:
    """Whether the result of a map says of each item what became of it."""
    return parameters.get(OUTCOMES) is True


def mapped_program(parameters: Mapping[str, Any]) -> str:
    """The program of a map's items; "": its parameters do not say."""
    program = SUBFLOW if WORKFLOW in parameters else parameters.get(PROGRAM)
    return program if isinstance(program, str) else ""


def common_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What all items of a map are given, as it stands in the map's parameters."""
    found = parameters.get(PARAMETERS)
    if isinstance(found, dict) and set(cast("dict[str, Any]", found)) == {"$literal"}:
        found = cast("dict[str, Any]", found)["$literal"]
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
