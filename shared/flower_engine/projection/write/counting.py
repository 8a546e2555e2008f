"""How a batch counts an event: a function by its type, made from the table of meanings once.

So counting an event costs what its facts cost. Unlike the fold, these functions never refuse: an event that
contradicts those before it is for ``flower verify`` to find.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flower_engine.model.events.event_meaning import MEANINGS, THE_EVENT, Meaning, Move
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.fact_writers import fact_lines, held_value
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.made_functions import function_of
from flower_engine.projection.write.flow_changes import FlowChange, TaskChange

Count = Callable[[FlowChange, Any], None]
"""Adds an event to what a batch changes of its flow: (flow, event)."""

_NOT_SHOWN = ("lease", "keys", "used")
"""Facts of tasks that the tables have no columns for; all others are fields of ``TaskChange``."""

_COUNTERS = {
    Status.WAIT: "flow.waiting",
    Status.RUNNING: "flow.running",
    Status.SUSPEND: "flow.suspended",
    Status.FINISH: "flow.finished",
    Status.IGNORE: "flow.ignored",
}
_ARRIVED = {
    Status.RUNNING: ["if flow.started_ms is None: flow.started_ms = event.at"],
    Status.SUSPEND: ["flow.suspended_ms = event.at"],
}
_SETS = {
    "paused": ["flow.pause_said, flow.paused = True, {0}"],
    "cancelled": ["flow.cancelled = {0} or flow.cancelled"],
    "ending": ["flow.ending = {0} or flow.ending"],
    "rounds": ["flow.rounds = {0}"],
}
_FORGETS = {"paused": ["flow.pause_said, flow.paused = True, None"]}
_GIVES = {"body": ["flow.task(seq).parameters, flow.task(seq).priority = value.parameters, value.priority"]}
"""What else a fact of a single task says: later events may change it by itself."""
_GIVES_ALL = {"priority": ["for task in flow.tasks.values(): task.priority = None"]}
_ITEMS = {
    "": [],
    "come": [
        "flow.expanded += (event,)",
        "flow.added += len(event.numbers)",
        "flow.waiting += len(event.numbers) - len(event.taken)",
        "flow.finished += len(event.taken)",
        "for one in event.taken:",
        "    task = flow.task(event.first + one.index)",
        "    task.status, task.finished_ms, task.taken_from = status_3, event.at, one.of",
        "    task.result, task.blob = (None if one.blob else bytes(one.result)), one.blob",
    ],
    "go": [],
}
_ENDS = {
    "": [],
    "said": ["if event.ends: flow.ended_ms = event.at"],
    "always": ["flow.ended_ms = event.at"],
    "over": [
        "if not event.ending: flow.reopened = True; flow.ended_ms = flow.cancelled = flow.ending = None"
    ],
}
_REGISTERED = [
    "if flow.registered is not None: return",
    "flow.registered = event",
    "flow.waiting += len(event.tasks)",
]


def lines_of(meaning: Meaning) -> list[str]:
    """The lines of the function that counts an ``event`` of this meaning in what is changed of a ``flow``."""
    lines = list(_REGISTERED) if meaning.about == "registration" else []
    for move in meaning.moves:
        lines += _moving(meaning, move)
    for field, fact in meaning.of_each.items():
        if fact in _NOT_SHOWN:
            continue
        lines.append(f"for seq, value in event.{field}.items():")
        lines.append(f"    flow.task(seq).{fact} = {held_value(fact, 'value')}")
        lines += [f"    {line}" for line in _GIVES.get(fact, ())]
    for fact, field in meaning.of_all.items():
        lines += [f"flow.{fact} = event.{field}", *_GIVES_ALL.get(fact, ())]
    lines += _ITEMS[meaning.items]
    for fact, field in meaning.flow_sets.items():
        value = "event" if field == THE_EVENT else f"event.{field}"
        lines += [line.format(value) for line in _SETS[fact]]
    for fact in meaning.flow_forgets:
        lines += _FORGETS[fact]
    return lines + _ENDS[meaning.end]


def _moving(meaning: Meaning, move: Move) -> list[str]:
    """Tasks stand elsewhere, or are told something."""
    counted = [] if move.to is None else _counted(move, move.to)
    if move.tasks == "task":
        return [*counted, "task = flow.task(event.task)", *fact_lines(meaning, move, TaskChange)]
    each = [*counted, "task = flow.task(seq)", *fact_lines(meaning, move, TaskChange)]
    return [f"for seq in event.{move.tasks}:", *(f"    {line}" for line in each)]


def _counted(move: Move, to: Status) -> list[str]:
    first, *others = move.was
    left = [f"{_COUNTERS[first]} -= 1"]
    if move.said_in:
        left = [f"elif event.{move.said_in} == {int(other)}: {_COUNTERS[other]} -= 1" for other in others]
        left = [left[0].removeprefix("el"), *left[1:], f"else: {_COUNTERS[first]} -= 1"]
    return [*left, f"{_COUNTERS[to]} += 1", *_ARRIVED.get(to, [])]


def check(meanings: Iterable[Meaning]) -> None:
    """Refuses facts that nobody writes down.

    Raises:
        TypeError: events set or forget a fact that is no field of ``TaskChange``; names all of them.
    """
    facts = {fact for one in meanings for fact in (*one.sets, *one.forgets, *one.of_each.values())}
    lost = facts - {*TaskChange.__struct_fields__, *_NOT_SHOWN}
    if lost:
        raise TypeError(
            f"projection/write/flow_changes.py: TaskChange lacks {', '.join(sorted(lost))}, which events set"
        )


check(MEANINGS.values())

COUNTS: Mapping[type[AnyEvent], Count] = {
    kind: function_of(lines_of(meaning), "flow, event", {f"status_{int(one)}": int(one) for one in Status})
    for kind, meaning in MEANINGS.items()
    if meaning.about in ("flow", "registration")
}
"""By type of event; others do not change what a batch holds of a flow."""
