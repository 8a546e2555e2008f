"""Tasks that wait for the world: what their programs take, and what Redis holds of it.

Their programs begin with ``@``. No worker runs them, they take no slot and stand in no lane: they *await*
what is to come, and end when it does.

    @sleep      seconds, or until
    @event      name, key, type; timeout_seconds, on_timeout, default
    @approval   title, text, form, shows, roles, of, not_registrant, remind_seconds, escalate_seconds;
                timeout_seconds, on_timeout, default
    @when       condition: a decision, which whoever comes first evaluates (``decision_tasks.py``)
    @flow       workflow, parameters: another flow does the task, its child (``child_flows.py``)
    @returns    value: what a child returns, evaluated as decisions are
"""

from typing import Any, NamedTuple, Protocol

import msgspec

from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.model.parameters.references import known_value
from flower_engine.model.tasks.task_spec import DEFAULT_ROUNDS, TaskSpec
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.values.key_parts import escape
from flower_engine.model.waits.wait_parameters import (
    DECISION,
    EVENT,
    MAP,
    RETURNS,
    SLEEP,
    SUBFLOW,
    WAITS,
    milliseconds,
    problems_of_values,
    until_ms,
)

MOST_KEPT_SIGNALS = 1_000
"""Signals that a flow keeps which nobody has taken yet."""
MOST_SIGNALS = 20_000
"""Signals that a flow gets in all: it remembers the id of each, so that none ever counts twice. (The fold
takes more: a version before had no such bound.)"""

_encode = msgspec.json.Encoder().encode


class HasProgram(Protocol):
    """A task of a plan, or its message."""

    @property
    def max_rounds(self) -> int: ...
    @property
    def program(self) -> str: ...
    @property
    def parameters(self) -> dict[str, Any]: ...
    @property
    def refs(self) -> bool: ...


def is_wait(program: str) -> bool:
    """Whether tasks of this program wait for the world, or to be decided."""
    return program in WAITS


def kind_of(task: HasProgram | TaskSpec) -> str:
    """sleep, event, approval, when, map, flow or returns; "" for a task that a worker runs."""
    return task.program[1:] if is_wait(task.program) else ""


def known_parameters(task: HasProgram) -> dict[str, Any]:
    """The parameters of a task as far as they are known when it is registered, without references."""
    if not task.refs:
        return dict(task.parameters)
    return {name: value for name, one in task.parameters.items() if (value := known_value(one)) is not None}


def takes_signal(task: HasProgram, name: str, key: str) -> bool:
    """Whether a task awaits signals of this name and key."""
    if task.program != EVENT:
        return False
    known = known_parameters(task)
    return known.get("name") == name and known.get("key", "") in ("", key)


def has_type(task: HasProgram) -> bool:
    """Whether a task takes signals of a certain type only."""
    return task.program == EVENT and "type" in known_parameters(task)


def wait_text(task: HasProgram) -> str:
    """What Redis is to know of a task that waits, field ``wN`` of its flow; "" for one that a worker runs.

    ``sleep <ms>`` or ``sleep @<ms>`` (by the clock), ``event <timeout ms> <name> <key> <end>``,
    ``approval <timeout ms> <of> <end>``, ``when 0``, ``map 0``, ``flow 0``, ``returns 0``; end: ``suspend``,
    or ``=`` and the JSON of the default. Behind that of ``flow`` stands how many rounds it may have, where
    its definition says that.

    Raises:
        ParametersError: its parameters are not what its program takes; names each.
    """
    if not is_wait(task.program):
        return ""
    if task.program == SUBFLOW and task.max_rounds != DEFAULT_ROUNDS:
        return f"flow 0 {task.max_rounds}"
    if task.program in (DECISION, MAP, SUBFLOW, RETURNS):
        return f"{kind_of(task)} 0"
    known = known_parameters(task)
    problems = list(problems_of_values(task.program, known, task.parameters))
    if problems:
        raise ParametersError(
            [ParameterFault(f"program {task.program}: {said}", f"#/parameters{at}") for at, said in problems]
        )
    if task.program == SLEEP:
        if "until" in known:
            return f"sleep @{until_ms(known['until'])}"
        return f"sleep {milliseconds(known['seconds'])}"
    seconds = known.get("timeout_seconds")
    timeout = 0 if seconds is None else milliseconds(seconds)
    end = "suspend"
    if known.get("on_timeout") == "default":
        end = "=" + spelled_out(_encode(known.get("default"))).decode()
    if task.program == EVENT:
        return f"event {timeout} {escape(known['name'])} {escape(known.get('key', ''))} {end}"
    return f"approval {timeout} {known.get('of', 1)} {end}"


class Awaited(NamedTuple):
    """What stands as the lease of a task that awaits, in field ``sN`` of its flow: ``~<kind> <until ms>``;
    behind that of an event ``<name> <key>``, as keys have them."""

    kind: str
    until_ms: int
    name: str = ""
    key: str = ""

    @classmethod
    def parse(cls, lease: str) -> "Awaited":
        """What the text says.

        Raises:
            ValueError: it is no such text.
        """
        kind, until, *rest = lease.removeprefix("~").split(" ")
        return cls(kind, int(until), *rest)

    @classmethod
    def of(cls, task: HasProgram, until_ms: int) -> "Awaited":
        """That of a task which awaits until then (0: for ever)."""
        if task.program != EVENT:
            return cls(kind_of(task), until_ms)
        known = known_parameters(task)
        return cls("event", until_ms, escape(known["name"]), escape(known.get("key", "")))

    @property
    def text(self) -> str:
        """As the hash holds it."""
        of_event = f" {self.name} {self.key}" if self.kind == "event" else ""
        return f"~{self.kind} {self.until_ms}{of_event}"

    def member(self, flow: str, task: int) -> str:
        """Where signals find it: its member of the key ``waits``."""
        return f"{self.name} {self.key} {flow}:{task:06d}"

    def timer(self, flow: str, task: int) -> str | None:
        """The timer that ticks for it; None: none does."""
        if self.kind == "sleep":
            return f"s:{flow}:{task}"
        if self.kind == "flow":  # the timer of its flow ticks for it
            return None
        return f"d:{flow}:{task}" if self.until_ms else None
