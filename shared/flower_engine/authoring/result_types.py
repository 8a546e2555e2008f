"""What a type has inside, as it stands in JSON: fields by their encoded names, items, values of objects."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeVar, Union, cast, get_args, get_origin

import msgspec

from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.programs.parameter_conversion import type_name

NONE_GIVEN: Any = msgspec.UNSET
"""In place of a default: there is none."""

_UNIONS = (Union, types.UnionType)


class NoMemberError(LookupError):
    """The type has no such member; the message is a sentence that says what it has, and what to write."""


class Member(NamedTuple):
    """A part of a value: the step to it in a JSON Pointer, its type, and what it is where JSON leaves it out
    because it is the default (``NONE_GIVEN``: it is never left out)."""

    step: str | int
    annotation: Any
    default: Any = NONE_GIVEN


def bare(annotation: Any) -> Any:
    """The type without ``Annotated`` and aliases; ``Any`` for what says nothing of a value."""
    while get_origin(annotation) is typing.Annotated or isinstance(annotation, typing.NewType):
        annotation = (
            annotation.__supertype__ if isinstance(annotation, typing.NewType) else get_args(annotation)[0]
        )
    value = getattr(annotation, "__value__", None)  # type X = ... of Python 3.12
    if value is not None and type(annotation).__name__ == "TypeAliasType":
        return bare(value)
    if annotation in (inspect.Parameter.empty, object) or isinstance(annotation, TypeVar):
        return Any
    return type(None) if annotation is None else annotation


def members_of_union(annotation: Any) -> tuple[Any, ...]:
    """The types that a value may have, None among them; of a type that is no union itself."""
    annotation = bare(annotation)
    if get_origin(annotation) not in _UNIONS:
        return (annotation,)
    members = (one for member in get_args(annotation) for one in members_of_union(member))
    return tuple(one for one in members if one is not msgspec.UnsetType)


def takes_none(annotation: Any) -> bool:
    """Whether the type says that a value may be None."""
    return type(None) in members_of_union(annotation)


def field_of(annotation: Any, name: str) -> Member:
    """The field of this name.

    Raises:
        NoMemberError: the type has none.
    """
    return _of_union(annotation, lambda one: _field(one, name))


def item_of(annotation: Any, key: str | int) -> Member:
    """What ``[key]`` gives.

    Raises:
        NoMemberError: the type has no such item.
    """
    return _of_union(annotation, lambda one: _item(one, key))


def length_of(annotation: Any) -> int | None:
    """How many items a value has where its type says that; None: it does not."""
    annotation = bare(annotation)
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple and arguments and arguments[-1] is not Ellipsis:
        return len(arguments)
    return None


def fields_of(annotation: Any) -> dict[str, Member] | None:
    """Fields by the names that Python code gives them; None: it is no type with fields."""
    annotation = bare(annotation)
    kind: Any = get_origin(annotation) or annotation
    if not inspect.isclass(kind):
        return None
    if issubclass(kind, msgspec.Struct):
        return _fields_of_struct(annotation, kind)
    if dataclasses.is_dataclass(kind):
        return _by_hints(kind, [field.name for field in dataclasses.fields(kind)])
    attributes: tuple[Any, ...] | None = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return _by_hints(kind, [attribute.name for attribute in attributes])
    names: tuple[str, ...] | None = getattr(kind, "_fields", None)
    if names is not None and issubclass(kind, tuple):
        fields = _by_hints(cast(Any, kind), list(names))
        return {name: field._replace(step=index) for index, (name, field) in enumerate(fields.items())}
    model_fields: Mapping[str, Any] | None = getattr(kind, "model_fields", None)
    return None if model_fields is None else _fields_of_model(cast(Any, kind), model_fields)


def keys_of(annotation: Any) -> dict[str, Any] | None:
    """Types of the values of a TypedDict by key; None: it is none."""
    kind = get_origin(annotation) or annotation
    return _hints(kind) if typing.is_typeddict(kind) else None


def is_object(annotation: Any) -> bool:
    """Whether its values are ``dict``, by key, of values of one type."""
    return _is_kind(annotation, Mapping)


def is_list(annotation: Any) -> bool:
    """Whether its values are lists of any length, of values of one type."""
    kind = get_origin(annotation) or annotation
    return _is_kind(annotation, Sequence, Set) and kind not in (str, bytes, bytearray, memoryview)


def type_of_values(annotation: Any) -> Any:
    """The type of what a list or an object holds."""
    arguments = [one for one in get_args(annotation) if one is not Ellipsis]
    return arguments[-1] if arguments else Any


def _is_kind(annotation: Any, *kinds: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, kinds) and fields_of(annotation) is None


def _of_union(annotation: Any, member_of: Callable[[Any], Member]) -> Member:
    """What every type of a union has alike, None apart: where that comes up, nothing is there."""
    members = [one for one in members_of_union(annotation) if one is not type(None)]
    found: list[Member] = [member_of(one) for one in members or [type(None)]]
    if len({one.step for one in found}) > 1:
        raise NoMemberError(f"{type_name(annotation)} has it in different places")
    kinds = dict.fromkeys(one.annotation for one in found)
    default = found[0].default if len(found) == 1 else NONE_GIVEN
    return Member(found[0].step, Any if Any in kinds else Union[tuple(kinds)], default)  # noqa: UP007


def _field(annotation: Any, name: str) -> Member:
    if annotation is Any:
        return Member(name, Any)
    fields = fields_of(annotation)
    if fields is not None:
        if name in fields:
            return fields[name]
        known = f"it has {', '.join(fields)}" if fields else "it has none"
        raise NoMemberError(
            f"{type_name(annotation)} has no field {name!r}{nearest_in_words(name, fields)}; {known}"
        )
    if keys_of(annotation) is not None or is_object(annotation):
        raise NoMemberError(f"{type_name(annotation)} has keys, no fields; write [{name!r}]")
    raise NoMemberError(f"{type_name(annotation)} has no fields; what its methods do is for a program to do")


def _item(annotation: Any, key: str | int) -> Member:
    if annotation is Any and (isinstance(key, str) or key >= 0):
        return Member(key, Any)
    keys = keys_of(annotation)
    if keys is not None:
        if key in keys:
            return Member(key, keys[str(key)])
        known = f"it has {', '.join(map(repr, keys))}"
        raise NoMemberError(
            f"{type_name(annotation)} has no key {key!r}{nearest_in_words(str(key), keys)}; {known}"
        )
    if is_object(annotation):
        arguments = get_args(annotation)
        wanted = arguments[0] if len(arguments) == 2 else Any
        if (isinstance(key, int) and bare(wanted) is str) or (isinstance(key, str) and bare(wanted) is int):
            raise NoMemberError(f"{type_name(annotation)} has keys of type {type_name(wanted)}, not {key!r}")
        return Member(str(key), type_of_values(annotation))
    length = length_of(annotation)
    fields = fields_of(annotation)
    kind: Any = get_origin(annotation) or annotation
    if fields is not None and issubclass(kind, tuple):
        length = len(fields)
    if length is None and annotation is not Any and not is_list(annotation):
        raise NoMemberError(f"{type_name(annotation)} has no items")
    if isinstance(key, str):
        raise NoMemberError(f"{type_name(annotation)} has items by number, not {key!r}")
    if key < 0:
        raise NoMemberError("items are counted from the front: a reference does not know where a list ends")
    if length is None:
        return Member(key, type_of_values(annotation))
    if key >= length:
        raise NoMemberError(f"{type_name(annotation)} has {length} items, counted from 0")
    kinds = list(fields.values()) if fields else [Member(key, one) for one in get_args(annotation)]
    return Member(key, kinds[key].annotation)


def _fields_of_struct(annotation: Any, kind: Any) -> dict[str, Member]:
    config = kind.__struct_config__
    first = 1 if config.array_like and config.tag is not None else 0  # a tag stands before the fields
    found: dict[str, Member] = {}
    for index, field in enumerate(msgspec.structs.fields(annotation), start=first):
        default: Any = NONE_GIVEN
        if config.omit_defaults and not config.array_like:
            default = field.default
            if default is NONE_GIVEN or default is msgspec.NODEFAULT:
                factory = field.default_factory
                default = NONE_GIVEN if factory is msgspec.NODEFAULT else factory()
        found[field.name] = Member(index if config.array_like else field.encode_name, field.type, default)
    return found


def _fields_of_model(kind: Any, fields: Mapping[str, Any]) -> dict[str, Member]:
    """Those of a pydantic model, as ``model_dump`` writes them."""
    by_alias = bool(kind.model_config.get("serialize_by_alias"))
    computed: Mapping[str, Any] = kind.model_computed_fields
    found: dict[str, Member] = {}
    for name, field in {**fields, **computed}.items():
        alias: str | None = getattr(field, "serialization_alias", None) or getattr(field, "alias", None)
        annotation = field.return_type if name in computed else field.annotation
        found[name] = Member(alias if by_alias and alias else name, annotation)
    return found


def _by_hints(kind: Any, names: list[str]) -> dict[str, Member]:
    hints = _hints(kind)
    return {name: Member(name, hints.get(name, Any)) for name in names}


def _hints(kind: Any) -> dict[str, Any]:
    """Types by name; Required, NotRequired and ReadOnly say nothing of a value that is there."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: _without_qualifier(hint) for name, hint in hints.items()}


def _without_qualifier(hint: Any) -> Any:
    while getattr(get_origin(hint), "_name", "") in ("Required", "NotRequired", "ReadOnly", "ClassVar"):
        hint = get_args(hint)[0]
    return hint
