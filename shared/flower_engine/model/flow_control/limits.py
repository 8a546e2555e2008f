"""Names and values of limits, as the hashes ``limits`` and ``running`` hold them.

Nothing else in Python makes or takes apart either; in Lua it is ``lua/lib/limits.lua``, which says what each
means.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from flower_engine.model.flow_control.flow_control import AtMaxFlows, FlowControl, Scope
from flower_engine.model.flow_control.lanes import parse_lane
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.model.values.key_parts import escape, unescape

_LETTERS: dict[Scope, str] = {"global": "g", "queue": "q", "workflow": "w", "program": "p"}
_SCOPES: dict[str, Scope] = {letter: scope for scope, letter in _LETTERS.items()}
_SCOPES["f"] = "workflow"
_NONE = "-"
_WINDOW = "m:"
_WHOLE = "t:"


class LimitName(NamedTuple):
    """What a limit is about; ``key``: of this value of its parameter alone, else ""."""

    scope: Scope | Literal["map"]
    name: str
    key: str


class LimitValue(NamedTuple):
    """What a limit says: units of tasks that run at once, starts in a period, and whether nothing starts."""

    most: int | None = None
    rate: int | None = None
    period_ms: int | None = None
    is_paused: bool = False

    def text(self) -> str:
        """As the hash ``limits`` holds it."""
        numbers = (_NONE if number is None else str(number) for number in self[:3])
        return f"{' '.join(numbers)} {int(self.is_paused)}"

    @classmethod
    def parse(cls, text: str) -> "LimitValue":
        """The other side; of a limit for each key there is but the first number."""
        most, rate, period_ms, paused, *_ = [*text.split(" "), *_NONE * 3]
        return cls(_number(most), _number(rate), _number(period_ms), paused == "1")


def limit_of(scope: Scope, name: str = "") -> str:
    """The limit of a scope."""
    letter = _LETTERS[scope]
    return letter if scope == "global" else f"{letter}:{escape(name)}"


def limit_per_key(scope: Scope, name: str, key: str = "") -> str:
    """The limit for each key of a workflow or program; with a key, the one of that key."""
    return f"{_LETTERS[scope]}k:{escape(name)}" + (f"/{escape(key)}" if key else "")


def limit_of_flows(workflow: str) -> str:
    """The limit of flows of a workflow that are under way; its value is made by :func:`flows_value`."""
    return f"f:{escape(workflow)}"


def limit_of_window(window: str) -> str:
    """The limit of a map's items, which says in its name how many may run at once."""
    return _WINDOW + window


def window_of_limit(name: str) -> Window | None:
    """The window that a limit is; None: it is another limit."""
    return Window.parse(name.removeprefix(_WINDOW)) if name.startswith(_WINDOW) else None


def limit_in(name: str, settings: Mapping[str, str]) -> LimitValue | None:
    """What a limit says, of the fields of the hash ``limits``; None: there is none. (Whether a map that
    tolerates failures stopped its items is not known here.)"""
    window = window_of_limit(name)
    if window is not None:
        return None if window.most is None else LimitValue(window.most)
    text = settings.get(setting_of(name))
    return None if text is None else LimitValue.parse(text)


def weight_of(workflow: str) -> str:
    """Where the stride of a workflow stands."""
    return f"v:{escape(workflow)}"


def strikes_of(program: str) -> str:
    """Where the strikes of a program stand."""
    return f"x:{escape(program)}"


def flows_value(most: int, at_most: AtMaxFlows, *, counts_suspended: bool) -> str:
    """What a limit of flows says."""
    return f"{most} {at_most} {int(counts_suspended)}"


def whole_of(name: str) -> str:
    """Where there are several partitions: the field that says what this one's numbers of a limit are shares
    of."""
    return f"{_WHOLE}{name}"


def is_whole_of(name: str) -> bool:
    """Whether a field is such a one."""
    return name.startswith(_WHOLE)


def lent_of(control: FlowControl) -> dict[str, dict[int, int]]:
    """The limits of a row that are lent between partitions, by name: place of the number -> the whole of it.
    What is per key, and a limit of flows beyond which something else is done than to wait, is not."""
    found: dict[str, dict[int, int]] = {}
    numbers = {1: control.max_running, 2: control.rate}
    if wholes := {which: number for which, number in numbers.items() if number is not None}:
        found[limit_of(control.scope, control.name)] = wholes
    if control.max_flows is not None and control.at_max_flows == "queue":
        found[limit_of_flows(control.name)] = {1: control.max_flows}
    return found


def wholes_text(wholes: Mapping[int, int]) -> str:
    """As the hash ``limits`` holds it."""
    return " ".join(str(wholes.get(which, _NONE)) for which in (1, 2))


def number_of(text: str, which: int) -> int | None:
    """The number at a place (1, 2...) of a limit's value."""
    words = text.split(" ")
    return _number(words[which - 1]) if len(words) >= which else None


def most_of(text: str) -> int | None:
    """The first number of a limit's value, whatever limit it is: how much may be at once."""
    return _number(text.partition(" ")[0])


def parse_limit(name: str) -> LimitName:
    """What a limit is about.

    Raises:
        KeyError: it is not a limit's name.
    """
    window = window_of_limit(name)
    if window is not None:
        return LimitName("map", f"{window.map} of flow {window.flow}", "")
    letters, _, rest = name.partition(":")
    of, _, key = rest.partition("/")
    return LimitName(_SCOPES[letters[:1]], unescape(of), unescape(key))


def setting_of(limit: str) -> str:
    """The field of the hash ``limits`` that a limit is read from: one field for all keys."""
    return limit.partition("/")[0]


def limits_tasks(name: str) -> bool:
    """Whether a field of ``limits`` or ``running`` limits tasks itself: it is not what all keys share, nor
    about flows, weights or strikes."""
    letters, _, rest = name.partition(":")
    return letters in _LETTERS.values() or (letters in ("wk", "pk") and "/" in rest)


def limits_of_lane(lane: str) -> tuple[list[str], int]:
    """The names of all limits that may hold for a lane, and the units of its tasks; of a name that is not
    one which Flower gives, none: what is in such a lane is in no place of its own."""
    parts = parse_lane(lane)
    if parts is None:
        return [], 1
    names = [limit_of("global"), limit_of("queue", parts.queue)]
    names += [limit_of("workflow", parts.workflow), limit_of("program", parts.program)]
    if parts.workflow_key:
        names.append(limit_per_key("workflow", parts.workflow, parts.workflow_key))
    if parts.program_key:
        names.append(limit_per_key("program", parts.program, parts.program_key))
    if parts.window:
        names.append(limit_of_window(parts.window))
    return names, parts.units


def units_of(limit: str, units: int) -> int:
    """How much a task of so many units counts against a limit: that of a map counts items."""
    return 1 if limit.startswith(_WINDOW) else units


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
