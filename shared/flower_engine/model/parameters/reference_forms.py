"""References: objects in the parameters of a definition that stand for a value known later.

::

    {"$from": "list_files", "path": "/0/size"}    of the result of a task, by name or taskSeq
        and "optional": true                          null where there is none
        or "default": v                               v where there is none
    {"$either": [{"$from": "a"}, {"$from": "b"}]} the first of these that there is; optional, default as above
    {"$param": "day"}                             a parameter of the flow
    {"$slot": "date"}                             of the schedule that started the flow; in schedules only
    {"$text": "{n} rows", "n": {...}}             a text with values in it; "{{" is a brace
    {"$secret": "NAME"}                           a secret, read by the worker
    {"$literal": ...}                             the value as it stands, whatever it looks like

An object with one of these keys is a reference, or a mistake; one with other keys is data, ``$`` or not.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from flower_engine.model.tasks.task_spec import TASK_NAME_PATTERN
from flower_engine.model.values.json_pointer import problem_of_pointer
from flower_engine.model.values.quoting import short

KEYS = frozenset({"$from", "$either", "$param", "$slot", "$text", "$secret", "$literal"})
MAX_CHOICES = 20  # of one $either

_TASK_NAME = re.compile(TASK_NAME_PATTERN)
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_MAX_NAME = 256
_FIELDS = {
    "$from": {"path", "optional", "default"},
    "$either": {"optional", "default"},
    "$slot": {"default"},
}


class From(msgspec.Struct, frozen=True):
    """A part of a task's result. ``default`` is ``msgspec.UNSET`` where none is given."""

    producer: str | int
    path: str = ""
    optional: bool = False
    default: Any = msgspec.UNSET

    @property
    def name(self) -> str:
        """The producer as a key of ``PlannedTask.reads``: its name, or its taskSeq as text."""
        return str(self.producer)

    @property
    def is_needed(self) -> bool:
        """Whether there is nothing to take the place of a value that is missing."""
        return not self.optional and self.default is msgspec.UNSET


class Either(msgspec.Struct, frozen=True):
    """The first of some parts of results that there is, in their order: all edges are order edges.

    ``choices`` with a default have it where their task has a value that lacks the part. ``last``: what holds
    where there is none of them (``msgspec.UNSET``: nothing), which may hold references. ``optional`` and
    ``default`` are as those of ``From``.
    """

    choices: tuple[From, ...]
    last: Any = msgspec.UNSET
    optional: bool = False
    default: Any = msgspec.UNSET


class Param(msgspec.Struct, frozen=True):
    """A parameter of the flow."""

    name: str


class Slot(msgspec.Struct, frozen=True):
    """A value of the schedule's slot; ``default`` (``msgspec.UNSET``: null) where there is no such slot."""

    name: str
    default: Any = msgspec.UNSET


class Text(msgspec.Struct, frozen=True):
    """A text: ``parts`` are constant, but that each name in ``values`` stands for its value's text."""

    parts: tuple[tuple[str, str], ...]  # constant text, and the name of the value behind it ("": none)
    values: Mapping[str, Any]


class Secret(msgspec.Struct, frozen=True):
    """A secret by its name."""

    name: str


class Literal(msgspec.Struct, frozen=True):
    """A value as it stands."""

    value: Any


Form = From | Either | Param | Slot | Text | Secret | Literal


class FormError(ValueError):
    """An object has the key of a reference, and is none; the message is the end of a sentence."""


def is_task_name(name: str) -> bool:
    """Whether a task may have this name."""
    return _TASK_NAME.fullmatch(name) is not None


def is_secret_name(name: str) -> bool:
    """Whether a secret may have this name."""
    return _SECRET_NAME.fullmatch(name) is not None


def form_of(value: Mapping[str, Any]) -> Form | None:
    """The reference that an object is; None: it is data.

    Raises:
        FormError: it is neither.
    """
    keys = KEYS.intersection(value)
    if not keys:
        return None
    if len(keys) > 1:
        raise FormError(
            f"has {' and '.join(sorted(keys))}; a reference has one of these."
            ' Data that looks so is written {"$literal": ...}'
        )
    (key,) = keys
    if key != "$text":
        unknown = value.keys() - {key} - _FIELDS.get(key, set())
        if unknown:
            raise FormError(f"has {short(min(unknown))!r}, which is nothing that goes with {key}")
    return _MAKERS[key](value)


def _from(value: Mapping[str, Any]) -> From:
    producer, path = value["$from"], value.get("path", "")
    if isinstance(producer, bool) or not isinstance(producer, int | str):
        raise FormError("has a $from that is neither the name of a task nor a taskSeq")
    if isinstance(producer, str) and not is_task_name(producer):
        raise FormError(f"has the $from {short(producer)!r}, which is no name of a task")
    if not isinstance(path, str):
        raise FormError("has a path that is no text")
    problem = problem_of_pointer(path)
    if problem:
        raise FormError(f"has the path {short(path)!r}, which {problem}")
    return From(producer, path, *_where_there_is_none(value))


def _where_there_is_none(value: Mapping[str, Any]) -> tuple[bool, Any]:
    optional = value.get("optional", False)
    if not isinstance(optional, bool):
        raise FormError("has an optional that is neither true nor false")
    if optional and "default" in value:
        raise FormError("has optional and default; one of them says what holds where there is no value")
    return optional, value.get("default", msgspec.UNSET)


def _either(value: Mapping[str, Any]) -> Either:
    listed: Any = value["$either"]
    if not isinstance(listed, list) or not 2 <= len(cast("list[Any]", listed)) <= MAX_CHOICES:
        raise FormError(f"has an $either that is no list of 2 to {MAX_CHOICES} references")
    members = cast("list[Any]", listed)
    choices: list[From] = []
    for index, member in enumerate(members):
        form = form_of(cast("dict[str, Any]", member)) if isinstance(member, dict) else None
        if isinstance(form, From):
            if form.optional:
                raise FormError(f"has an $either whose item {index} is optional: there the next one holds")
            choices.append(form)
        elif index < len(members) - 1:
            raise FormError(
                f"has an $either whose item {index} is no $from; only the last may be something else, which"
                " holds where there is none of the others"
            )
    last = members[-1] if len(choices) < len(members) else msgspec.UNSET
    return Either(tuple(choices), last, *_where_there_is_none(value))


def _param(value: Mapping[str, Any]) -> Param:
    return Param(_name(value["$param"], "$param"))


def _slot(value: Mapping[str, Any]) -> Slot:
    return Slot(_name(value["$slot"], "$slot"), value.get("default", msgspec.UNSET))


def _secret(value: Mapping[str, Any]) -> Secret:
    name = value["$secret"]
    if not isinstance(name, str) or not is_secret_name(name):
        raise FormError(
            f"has a $secret that is no name of a secret ({_SECRET_NAME.pattern}); secrets themselves have no"
            " place in definitions"
        )
    return Secret(name)


def _literal(value: Mapping[str, Any]) -> Literal:
    return Literal(value["$literal"])


def _text(value: Mapping[str, Any]) -> Text:
    template = value["$text"]
    if not isinstance(template, str):
        raise FormError("has a $text that is no text")
    parts = tuple(_parts_of(template))
    values = {name: one for name, one in value.items() if name != "$text"}
    used = {name for _, name in parts if name}
    if used - values.keys():
        raise FormError(
            f"has a $text with {{{short(min(used - values.keys()))}}}, for which there is no value"
        )
    if values.keys() - used:
        name = min(values.keys() - used)
        raise FormError(f"has a value {short(name)!r} that its $text does not use")
    return Text(parts, values)


_PIECE = re.compile(r"([^{}]+)|(\{\{)|(\}\})|\{([A-Za-z_][A-Za-z0-9_]{0,127})\}|([{}])")


def _parts_of(template: str) -> Iterator[tuple[str, str]]:
    constant: list[str] = []
    for plain, opening, closing, name, stray in cast(
        "list[tuple[str, str, str, str, str]]", _PIECE.findall(template)
    ):
        if stray:
            raise FormError(
                f"has a $text with a lone {stray!r}: a value stands as {{name}} in it, and a brace as"
                f" {stray * 2!r}"
            )
        if name:
            yield "".join(constant), name
            constant = []
        else:
            constant.append(plain or (opening and "{") or (closing and "}"))
    if constant:
        yield "".join(constant), ""


def _name(name: Any, key: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise FormError(f"has a {key} that is no name (text of 1 to {_MAX_NAME} characters)")
    return name


_MAKERS: dict[str, Any] = {
    "$from": _from,
    "$either": _either,
    "$param": _param,
    "$slot": _slot,
    "$text": _text,
    "$secret": _secret,
    "$literal": _literal,
}
