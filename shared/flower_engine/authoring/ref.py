"""References, as the body of a workflow holds them: to results of steps, and to what else a run will know.

The body runs once, when the workflow is defined; no value is there yet. What Python lets a class intercept
raises a DefinitionError that says where it stands and how to write it (``ref_rules.py``); what it does not is
found in the source (``source_check.py``).
"""

from collections.abc import Callable, Iterator
from typing import Any, Generic, NoReturn, Protocol, TypeVar, cast

import msgspec

from flower_engine.authoring.ref_rules import RULES, Rule
from flower_engine.authoring.result_types import (
    NONE_GIVEN,
    Member,
    NoMemberError,
    field_of,
    item_of,
    length_of,
)
from flower_engine.errors import DefinitionError
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.programs.call_site import call_site

T_co = TypeVar("T_co", covariant=True)


class Task(Protocol):
    """A task of the workflow that is being defined."""

    @property
    def name(self) -> str: ...

    @property
    def seq(self) -> int: ...


class Target(msgspec.Struct, frozen=True):
    """What a reference leads to.

    ``shown``: as Python code would write it; ``form``: its JSON, of a task's result without path and default;
    ``tasks``: whose results it needs; ``has_parts``: whether a part can be taken. ``is_of_outcomes``: it is
    what became of the items of a map.
    """

    workflow: Any  # the workflow being defined, by identity; None: any
    shown: str
    annotation: Any
    form: dict[str, Any]
    tasks: tuple[Task, ...] = ()
    has_parts: bool = False
    path: str = ""
    default: Any = NONE_GIVEN
    is_of_outcomes: bool = False

    def to(self, member: Member, shown: str) -> "Target":
        """A part of it."""
        return msgspec.structs.replace(
            self,
            shown=self.shown + shown,
            annotation=member.annotation,
            path=self.path + pointer_to(member.step),
            # A part of what is left out is left out, too, and nobody says what it would be.
            default=member.default if self.default is NONE_GIVEN else NONE_GIVEN,
        )


class Undecided:
    """What a run will find true or false: no value that could be given to a step."""

    __slots__ = ()


class Ref(Generic[T_co]):
    """Stands for a value that a run of the workflow will have: the result of a step, or a parameter.

    It can be given to steps, alone or inside lists, dicts, structs and dataclasses, be returned, stand in
    :func:`~flower_engine.text`, and parts of it can be taken: ``.field``, ``["key"]``, ``[0]``, as far as its
    type has them. Everything else is for programs, which get the value.
    """

    __slots__ = ("_flower_target",)

    _flower_target: Target

    def __init__(self, target: Target) -> None:
        object.__setattr__(self, "_flower_target", target)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _part(self, f".{name}", lambda annotation: field_of(annotation, name))

    def __getitem__(self, key: object) -> Any:
        target = target_of(self)
        if isinstance(key, Ref):
            index = target_of(cast("Ref[Any]", key)).shown
            _refuse(
                target,
                f"takes an item of {target.shown} by {index}, which is not known yet",
                "give both to a program, which picks the item",
            )
        if isinstance(key, slice):
            _refuse(
                target, f"takes a slice of {target.shown}", "give the whole to a program, which slices it"
            )
        if isinstance(key, bool) or not isinstance(key, str | int):
            _refuse(target, f"takes {target.shown}[{key!r}]", "keys are texts, and indexes whole numbers")
        return _part(self, f"[{key!r}]", lambda annotation: item_of(annotation, key))

    def __iter__(self) -> Iterator[Any]:
        """Unpacks a tuple of a known length; anything else has as many items as a run makes."""
        length = length_of(target_of(self).annotation)
        if length is None:
            _refuse_by(target_of(self), RULES["__iter__"])
        return iter([self[index] for index in range(length)])

    def __repr__(self) -> str:
        target = target_of(self)
        return f"<Ref {target.shown}>"


def target_of(ref: "Ref[Any]") -> Target:
    """What a reference leads to. (It has no public attributes: each name may be a field's.)"""
    return object.__getattribute__(ref, "_flower_target")


def _part(ref: "Ref[Any]", shown: str, find: Callable[[Any], Member]) -> "Ref[Any]":
    target = target_of(ref)
    if not target.has_parts:
        _refuse(
            target,
            f"takes {shown} of {target.shown}",
            "only a step's result has parts that can be taken: give the whole to a program, or make the part"
            " a parameter of its own",
        )
    try:
        return Ref(target.to(find(target.annotation), shown))
    except NoMemberError as error:
        _refuse(target, f"takes {target.shown}{shown}", str(error))


def refusal(target: Target | None, what: str, way: str) -> DefinitionError:
    """The error for what somebody wrote: where it stands, what it does, and the way to write it."""
    workflow = getattr(target.workflow, "name", None) if target is not None else None
    return DefinitionError(workflow, [f"{call_site()}: it {what}; {way}"])


def _refuse(target: Target, what: str, way: str) -> NoReturn:
    raise refusal(target, what, way)


def _refuse_by(target: Target, rule: Rule) -> NoReturn:
    raise refusal(target, rule.what.format(ref=target.shown), rule.way)


def _refusing(rule: Rule) -> Callable[..., NoReturn]:
    def refuse(ref: "Ref[Any]", *_given: object) -> NoReturn:
        _refuse_by(target_of(ref), rule)

    return refuse


def _refuse_all() -> None:
    for name, rule in RULES.items():
        if name not in vars(Ref):
            setattr(Ref, name, _refusing(rule))


_refuse_all()
