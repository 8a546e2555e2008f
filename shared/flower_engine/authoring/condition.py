"""Conditions in the body of a workflow: what comparing references makes, and how it is put together.

``total.bad > 50`` is a condition, as is ``is_none(total.note)``; ``&``, ``|`` and ``not_()`` make one of
several. They stand in :func:`~flower_engine.when`. For type checkers a condition is a bool.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, NoReturn, TypeVar, Union, cast, overload

import msgspec

from flower_engine.authoring.given_values import Given, ValueFault, form_of_target, json_of
from flower_engine.authoring.json_kinds import json_word
from flower_engine.authoring.ref import Ref, Target, Undecided, refusal, target_of
from flower_engine.authoring.ref_rules import CONDITION_AS_VALUE, RULES, SIGNS
from flower_engine.authoring.result_types import NONE_GIVEN, bare, fields_of, members_of_union
from flower_engine.model.parameters.reference_forms import MAX_CHOICES
from flower_engine.model.parameters.references import escaped
from flower_engine.model.values.quoting import short
from flower_engine.programs.parameter_conversion import type_name

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


class Condition(Undecided):
    """Something that a run will find true or false; see :func:`~flower_engine.when`."""

    __slots__ = ("_flower_condition",)

    _flower_condition: "Said"

    def __init__(self, said: "Said") -> None:
        object.__setattr__(self, "_flower_condition", said)

    def __and__(self, other: object) -> "Condition":
        return _combined("and", self, other)

    def __rand__(self, other: object) -> "Condition":
        return _combined("and", other, self)

    def __or__(self, other: object) -> "Condition":
        return _combined("or", self, other)

    def __ror__(self, other: object) -> "Condition":
        return _combined("or", other, self)

    def __repr__(self) -> str:
        return f"<Condition {said_by(self).shown}>"


class Said(msgspec.Struct, frozen=True):
    """A condition as a definition holds it; ``shown``: as Python code would write it."""

    tree: Any
    shown: str
    targets: tuple[Target, ...] = ()


class _Part(msgspec.Struct, frozen=True):
    """A value in a condition. ``annotation``: of a reference its type; else ``plain`` is its JSON."""

    tree: Any
    shown: str
    targets: tuple[Target, ...]
    annotation: Any
    plain: Any


def said_by(condition: Condition) -> Said:
    """What a condition is."""
    return object.__getattribute__(condition, "_flower_condition")


def as_condition(value: object) -> Condition:
    """A condition, or the reference to a bool, as a condition.

    Raises:
        DefinitionError: it is neither; names file and line.
    """
    if isinstance(value, Condition):
        return value
    if isinstance(value, bool):
        return Condition(Said(value, str(value)))
    target = _target_of(value)
    if target is None:
        raise refusal(None, f"takes {short(repr(value))} for a condition", "compare a reference with it")
    kinds = [one for one in members_of_union(target.annotation) if one is not type(None)]
    if not all(bare(one) in (bool, Any) for one in kinds):
        # Whether an answer is there says nothing of what it says: what it has of yes and no goes first.
        yes_or_no = [
            name for name, one in (fields_of(target.annotation) or {}).items() if bare(one.annotation) is bool
        ]
        raise refusal(
            target,
            f"takes {target.shown} for a condition, which is {type_name(target.annotation)}",
            f"write {' or '.join(f'{target.shown}.{name}' for name in yes_or_no)}"
            if yes_or_no
            else f"compare it, or ask whether it is there: some({target.shown})",
        )
    part = _part(value)
    return Condition(Said(["truthy", part.tree], part.shown, part.targets))


def not_(condition: bool) -> bool:  # it is a condition
    """The contrary of a condition: ``not_(total.bad > 50)``."""
    said = said_by(as_condition(condition))
    return cast(bool, Condition(Said(["not", said.tree], f"not_({said.shown})", said.targets)))


def is_none(value: object) -> bool:
    """The condition that a value is None, or that there is none: ``is_none(total.note)``."""
    return _asked("is_none", value)


def some(value: object) -> bool:
    """The condition that there is a value, and that it is not None."""
    return _asked("some", value)


def is_in(value: object, values: object) -> bool:
    """The condition that a value is an item of a list, a part of a text, or a key of a dict."""
    part, others = _parts(value, values, "is_in()")
    said = Said(
        ["in", part.tree, others.tree], f"is_in({part.shown}, {others.shown})", part.targets + others.targets
    )
    return cast(bool, Condition(said))


@overload
def either(first: A, second: B, /) -> A | B: ...


@overload
def either(first: A, second: B, third: C, /) -> A | B | C: ...


@overload
def either(first: A, second: B, third: C, fourth: D, /) -> A | B | C | D: ...


@overload
def either(first: A, second: A, third: A, fourth: A, fifth: A, /, *others: A) -> A: ...


def either(*values: object) -> Any:
    """The first of several results that there is, in the order in which they are given: what branches come
    together in. ``either(held, sent)``; the last may be a constant, for when there is none of the others.

    Raises:
        DefinitionError: something else than the last is no result of a step; names file and line.
    """
    if not 2 <= len(values) <= MAX_CHOICES:
        raise refusal(None, f"calls either() with {len(values)} values", f"it takes 2 to {MAX_CHOICES}")
    choices: list[Any] = []
    targets: list[Target] = []
    annotations: list[Any] = []
    for value in values:
        target = _target_of(value)
        if target is not None and "$from" in target.form:
            choices.append(_choice(target))
            annotations.append(target.annotation)
            targets.append(target)
            continue
        if len(choices) < len(values) - 1:
            shown = target.shown if target is not None else short(repr(value))
            raise refusal(
                target,
                f"gives either() {shown}, which is no result of a step",
                "only the last may be something else, for when there is none of the others",
            )
        try:
            part = _part(value, data=True)
        except ValueFault as fault:
            raise refusal(target, f"gives either() something that {fault}", "give JSON") from fault
        choices.append(part.tree)
        targets.extend(part.targets)
        annotations.append(part.annotation if target is not None else type(value))
    shown = ", ".join(target.shown for target in targets)
    kind = Any if any(bare(one) is Any for one in annotations) else Union[tuple(annotations)]  # noqa: UP007
    tasks = tuple(task for target in targets for task in target.tasks)
    form = {"$either": choices}
    made: Ref[Any] = Ref(Target(targets[0].workflow, f"either({shown})", kind, form, tasks))
    return made


def _target_of(value: object) -> Target | None:
    return target_of(cast("Ref[Any]", value)) if isinstance(value, Ref) else None


def _choice(target: Target) -> dict[str, Any]:
    form = dict(target.form)
    if target.path:
        form["path"] = target.path
    if target.default is not NONE_GIVEN:
        form["default"] = escaped(json_of(target.default))
    return form


def _combined(head: str, left: object, right: object) -> Condition:
    one, other = said_by(as_condition(left)), said_by(as_condition(right))
    sign = "&" if head == "and" else "|"
    shown = f"({one.shown}) {sign} ({other.shown})"
    return Condition(Said([head, one.tree, other.tree], shown, one.targets + other.targets))


def _asked(head: str, value: object) -> bool:
    if _target_of(value) is None:
        raise refusal(
            None, f"calls {head}() with {short(repr(value))}", "it asks for the value of a reference"
        )
    part = _part(value, optional=True)
    return cast(bool, Condition(Said([head, part.tree], f"{head}({part.shown})", part.targets)))


def _compared(head: str, left: object, right: object) -> Condition:
    sign = SIGNS[head]
    one, other = _parts(left, right, sign)
    _refuse_kinds(head, one, other)
    return Condition(
        Said([head, one.tree, other.tree], f"{one.shown} {sign} {other.shown}", one.targets + other.targets)
    )


def _parts(left: object, right: object, how: str) -> tuple[_Part, _Part]:
    try:
        return _part(left), _part(right)
    except ValueFault as fault:
        target = _target_of(left) or _target_of(right)
        raise refusal(target, f"compares ({how}) with what {fault}", "compare with JSON") from fault


def _part(value: object, *, optional: bool = False, data: bool = False) -> _Part:
    """``data``: it stands in a value, where a list is one."""
    if isinstance(value, Condition):
        said = said_by(value)
        return _Part(said.tree, f"({said.shown})", said.targets, bool, None)
    given = Given(value)

    def form(target: Target, is_whole: bool) -> dict[str, Any]:
        if "$secret" in target.form:
            raise refusal(
                target,
                f"holds {target.shown} in a condition",
                "a condition tells what it saw: compare inside a program",
            )
        return form_of_target(target, optional=optional and is_whole)

    tree: Any = given.written(form)
    if isinstance(tree, list) and not data:
        tree = ["list", cast("list[Any]", tree)]
    target = given.target
    shown = short(repr(value)) if target is None else target.shown
    annotation = NONE_GIVEN if target is None else target.annotation
    return _Part(tree, shown, tuple(given.targets), annotation, given.plain)


_NO_ORDER = (Decimal, timedelta)


def _refuse_kinds(head: str, left: _Part, right: _Part) -> None:
    """Refuses what can never compare, as far as the types tell."""
    is_order = head not in ("eq", "ne")
    for part in (left, right):
        odd = [one for one in members_of_union(part.annotation) if one in _NO_ORDER]
        if is_order and odd:
            _refuse_compared(
                head,
                left,
                right,
                f"values of {type_name(odd[0])} are text in JSON, whose order is not theirs",
            )
    kinds, others = _kinds(left), _kinds(right)
    if "" in kinds | others:
        return
    both = kinds & others
    if is_order and not both & {"number", "text"}:
        _refuse_compared(head, left, right, "numbers compare with numbers, and texts with texts")
    if not both:
        _refuse_compared(head, left, right, "they are never equal")


def _kinds(part: _Part) -> set[str]:
    """What a value may be in JSON; "": more than can be told."""
    if part.annotation is NONE_GIVEN:
        words = {json_word(type(part.plain))}
    else:
        words = {json_word(one) if bare(one) is not Any else "" for one in members_of_union(part.annotation)}
    return {"number" if word == "integer" else word for word in words}


def _refuse_compared(head: str, left: _Part, right: _Part, way: str) -> NoReturn:
    named = [
        part.shown if part.annotation is NONE_GIVEN else f"{part.shown}, {type_name(part.annotation)},"
        for part in (left, right)
    ]
    target = next(iter((*left.targets, *right.targets)), None)
    raise refusal(target, f"compares {named[0]} with {named[1].rstrip(',')} ({SIGNS[head]})", way)


def _refusing(name: str) -> Callable[..., NoReturn]:
    rule = CONDITION_AS_VALUE.get(name, RULES[name])

    def refuse(condition: Condition, *_given: object) -> NoReturn:
        said = said_by(condition)
        target = next(iter(said.targets), None)
        raise refusal(target, rule.what.replace("{ref}", said.shown), rule.way)

    return refuse


def _comparing(head: str) -> Callable[..., Condition]:
    def compare(ref: "Ref[Any]", other: object) -> Condition:
        return _compared(head, ref, other)

    return compare


def _combining(head: str, name: str, *, is_reflected: bool) -> Callable[..., Condition]:
    refuse = vars(Ref)[name]

    def combine(ref: "Ref[Any]", other: object) -> Condition:
        is_bool = bool in map(bare, members_of_union(target_of(ref).annotation))
        if not is_bool and not isinstance(other, Condition):
            refuse(ref, other)
        return _combined(head, other, ref) if is_reflected else _combined(head, ref, other)

    return combine


def _give_methods() -> None:
    """References compare since this module is imported; what conditions are not asked for is refused."""
    for head in SIGNS:
        setattr(Ref, f"__{head}__", _comparing(head))
    for head in ("and", "or"):
        setattr(Ref, f"__{head}__", _combining(head, f"__{head}__", is_reflected=False))
        setattr(Ref, f"__r{head}__", _combining(head, f"__r{head}__", is_reflected=True))
    for name in RULES:
        if name not in vars(Condition):
            setattr(Condition, name, _refusing(name))


_give_methods()
