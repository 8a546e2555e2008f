"""References in the parameters of tasks: found, kept from being found, bound, and resolved.

What they look like is in ``reference_forms.py``. Only definitions are scanned. Values from anybody else go
through :func:`escaped` before they stand where references do.
"""

from collections.abc import Callable, Collection, Mapping, Set
from typing import Any, NoReturn, cast

import msgspec

from flower_engine.errors import MissingInputError, ParameterError
from flower_engine.model.parameters.reference_forms import (
    KEYS,
    Either,
    Form,
    FormError,
    From,
    Literal,
    Param,
    Secret,
    Slot,
    Text,
    form_of,
)
from flower_engine.model.values.json_pointer import NotThereError, pointer_to, value_at
from flower_engine.model.values.quoting import short

_DEEPEST = 200  # what definitions hold is less deep; beyond, nothing is looked at

Read = Callable[[str], Any]
"""Gives the value of a producer, which is named as in ``PlannedTask.reads``; raises :class:`NoValueError`.
It is called once for each reference, so that no two of them share a value that a program might change."""


class NoValueError(LookupError):
    """The task has no value: it was passed over."""


class Use(msgspec.Struct, frozen=True):
    """A reference to a task's result; ``at`` is a JSON Pointer to where it stands."""

    at: str
    form: From


class Found(msgspec.Struct, kw_only=True):
    """Everything in a value that is a reference. Parameters, slots and secrets: each name with all places
    (JSON Pointers) where it stands. ``problems``: sentences that begin with a place."""

    uses: list[Use] = msgspec.field(default_factory=list[Use])
    params: dict[str, list[str]] = msgspec.field(default_factory=dict[str, list[str]])
    slots: dict[str, list[str]] = msgspec.field(default_factory=dict[str, list[str]])
    secrets: dict[str, list[str]] = msgspec.field(default_factory=dict[str, list[str]])
    problems: list[str] = msgspec.field(default_factory=list[str])
    is_plain: bool = True
    """Whether nothing was found at all, not even a literal or a text: the value is what it says."""

    @property
    def waits(self) -> bool:
        """Whether something must be known that a registration does not say."""
        return bool(self.uses or self.slots or self.secrets)


def scan(value: Any) -> Found:
    """All references in a value that may itself be one (``returns``)."""
    found = Found()
    _scan(value, "", found, 0)
    return found


def scan_parameters(parameters: Mapping[str, Any]) -> Found:
    """All references in a task's parameters; their names are no references, whatever they are."""
    found = Found()
    for name, value in parameters.items():
        if isinstance(value, dict | list):
            _scan(value, pointer_to(name), found, 1)
    return found


def may_hold_references(parameters: Mapping[str, Any]) -> bool:
    """Whether it is worth a look: most tasks have texts and numbers only."""
    for value in parameters.values():  # noqa: SIM110 # every task of every plan: a generator takes twice as long
        if isinstance(value, (dict, list)):
            return True
    return False


def holds_references(value: Any, keys: Set[str] = KEYS) -> bool:
    """Whether something in the value reads as a reference (of these kinds), right or wrong; of any depth."""
    left: list[Any] = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            members = cast("dict[str, Any]", one)
            if not members.keys().isdisjoint(keys):
                return True
            left.extend(members.values())
        elif isinstance(one, list):
            left.extend(cast("list[Any]", one))
    return False


def escaped(value: Any) -> Any:
    """The value as it must stand among references, so that it stays what it is."""
    return {"$literal": value} if holds_references(value) else value


class _NotKnownYetError(Exception):
    """A value needs what only a run will know."""


def known_value(value: Any) -> Any:
    """What a value that stands among references comes to; None where that is not known yet."""
    if not holds_references(value):
        return value
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if members.keys() == {"$literal"}:
        return members["$literal"]
    try:
        return _resolved(value, _not_known_yet, _not_known_yet, "it")
    except (_NotKnownYetError, ParameterError):
        return None


def _not_known_yet(_name: str) -> NoReturn:
    raise _NotKnownYetError


def bound(
    parameters: Mapping[str, Any], values: Mapping[str, Any], secrets: Collection[str] = ()
) -> dict[str, Any]:
    """A task's parameters with every ``$param`` replaced by its value, which stays data; a ``$param`` without
    a value is null. Of those in ``secrets`` the value is the name of a secret."""

    def bind(form: Form | None, value: Any) -> Any:
        if not isinstance(form, Param):
            return _rebuilt(form, value, bind)
        given = values.get(form.name)
        return {"$secret": given} if form.name in secrets and given is not None else escaped(given)

    return {name: _with_form(value, bind) for name, value in parameters.items()}


def with_param_values(value: Any, value_of: Callable[[str], Any]) -> Any:
    """The value with every ``$param`` replaced by what ``value_of`` gives for its name, as it is to stand."""

    def bind(form: Form | None, value: Any) -> Any:
        return value_of(form.name) if isinstance(form, Param) else _rebuilt(form, value, bind)

    return _with_form(value, bind)


def bound_slots(parameters: Mapping[str, Any], value_of: Callable[[Slot], Any]) -> dict[str, Any]:
    """Parameters with every ``$slot`` replaced by its value, which stays data."""

    def bind(form: Form | None, value: Any) -> Any:
        return escaped(value_of(form)) if isinstance(form, Slot) else _rebuilt(form, value, bind)

    return {name: _with_form(value, bind) for name, value in parameters.items()}


def resolved(parameters: Mapping[str, Any], read: Read, secret: Callable[[str], str]) -> dict[str, Any]:
    """A task's parameters as its program takes them. What they hold of results and secrets is never scanned.

    ``secret`` gives a secret by its name; what it raises comes through.

    Raises:
        MissingInputError: a value that is needed is missing; names producer, path and what is there.
        ParameterError: something in them is no right reference, or was never bound.
    """
    return {
        name: _resolved(value, read, secret, f"parameter {short(name)!r}")
        for name, value in parameters.items()
    }


def resolved_value(value: Any, read: Read, secret: Callable[[str], str], what: str) -> Any:
    """The same of one value, which may itself be a reference; ``what`` begins the sentences of errors."""
    return _resolved(value, read, secret, what)


def _resolved(value: Any, read: Read, secret: Callable[[str], str], what: str) -> Any:
    def resolve(form: Form | None, value: Any) -> Any:
        match form:
            case None:
                return _rebuilt(form, value, resolve)
            case From():
                return _read(form, read, what, lambda default: _with_form(default, resolve))
            case Either():
                return _first(form, read, what, lambda default: _with_form(default, resolve))
            case Secret():
                return secret(form.name)
            case Literal():
                return form.value
            case Text():
                values = {name: _with_form(one, resolve) for name, one in form.values.items()}
                return "".join(f"{constant}{_text_of(values, name)}" for constant, name in form.parts)
            case Param() | Slot():
                key = "$param" if isinstance(form, Param) else "$slot"
                raise ParameterError(f"{what} holds {key} {short(form.name)!r}, which nothing was bound to")

    try:
        return _with_form(value, resolve)
    except FormError as error:
        raise ParameterError(f"{what} holds an object that {error}") from None


def _read(form: From, read: Read, what: str, default: Callable[[Any], Any]) -> Any:
    there = ""
    try:
        return value_at(read(form.name), form.path)
    except NoValueError:
        there = "which has none: it was passed over"
    except NotThereError as error:
        there = f"where {error}"
    if form.optional:
        return None
    if form.default is not msgspec.UNSET:
        return default(form.default)
    path = f"{form.path!r} of the result" if form.path else "the result"
    raise MissingInputError(f"{what} is {path} of task {form.name}, {there}", form.name, form.path, there)


def _first(form: Either, read: Read, what: str, other: Callable[[Any], Any]) -> Any:
    """The first choice that there is."""
    missing: list[str] = []
    for choice in form.choices:
        try:
            return value_at(read(choice.name), choice.path)
        except NoValueError:
            missing.append(f"task {choice.name} has no result: it was passed over")
        except NotThereError as error:
            if choice.default is not msgspec.UNSET:
                return other(choice.default)
            missing.append(f"{short(choice.path)!r} of the result of task {choice.name}: {error}")
    for given in (form.last, form.default):
        if given is not msgspec.UNSET:
            return other(given)
    if form.optional:
        return None
    first, there = form.choices[0], "; ".join(missing)
    raise MissingInputError(f"{what} is the first that there is of: {there}", first.name, first.path, there)


def _text_of(values: Mapping[str, Any], name: str) -> str:
    if not name:
        return ""
    value = values[name]
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


Visit = Callable[[Form | None, Any], Any]


def _with_form(value: Any, visit: Visit) -> Any:
    """What ``visit`` makes of an object or list, given the reference that it is; of others the value."""
    if isinstance(value, dict):
        return visit(form_of(cast("dict[str, Any]", value)), value)
    if isinstance(value, list):
        return visit(None, value)
    return value


def _rebuilt(form: Form | None, value: Any, visit: Visit) -> Any:
    """The same value with its members visited, where they may hold references."""
    if isinstance(form, Literal | Secret | Slot | Param):
        return value
    if isinstance(value, list):
        return [_with_form(item, visit) for item in cast("list[Any]", value)]
    members = cast("dict[str, Any]", value)
    return {name: _with_form(item, visit) for name, item in members.items()}


def _scan(value: Any, at: str, found: Found, depth: int) -> None:
    if depth > _DEEPEST:
        found.problems.append(f"{short(at)}: it is nested too deeply")
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            if isinstance(item, dict | list):
                _scan(item, f"{at}/{index}", found, depth + 1)
    elif isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        try:
            form = form_of(members)
        except FormError as error:
            found.is_plain = False
            found.problems.append(f"{at}: it {error}" if at else f"it {error}")
            return
        if form is not None:
            found.is_plain = False
            _note(form, at, found)
        if isinstance(form, Either):
            _scan_either(form, at, found, depth)
        elif not isinstance(form, Literal):
            for name, item in members.items():
                if isinstance(item, dict | list):
                    _scan(item, at + pointer_to(name), found, depth + 1)


def _scan_either(form: Either, at: str, found: Found, depth: int) -> None:
    """Its choices, whose tasks may have no value, and what may take their place."""
    for index, choice in enumerate(form.choices):
        place = f"{at}/$either/{index}"
        if choice.is_needed:
            choice = msgspec.structs.replace(choice, optional=True)  # noqa: PLW2901
        found.uses.append(Use(place, choice))
    inside = {f"{at}/$either/{index}/default": choice.default for index, choice in enumerate(form.choices)}
    inside |= {f"{at}/$either/{len(form.choices)}": form.last, f"{at}/default": form.default}
    for place, value in inside.items():
        if isinstance(value, dict | list):
            _scan(value, place, found, depth + 2)


def _note(form: Form, at: str, found: Found) -> None:
    match form:
        case From():
            found.uses.append(Use(at, form))
        case Param():
            found.params.setdefault(form.name, []).append(at)
        case Slot():
            found.slots.setdefault(form.name, []).append(at)
        case Secret():
            found.secrets.setdefault(form.name, []).append(at)
        case Either() | Text() | Literal():
            pass
