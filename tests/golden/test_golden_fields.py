"""Whatever an event can say is said in some golden file: each field, and each word of a list of words."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

import msgspec.inspect
import pytest
from msgspec.inspect import DictType, ListType, LiteralType, StructType, Type, UnionType, VarTupleType

from flower_engine.model.events.events import AnyEvent
from flower_engine.model.waits.wait_parameters import WAITS

EVENTS = Path(__file__).parent / "events"
INFOS = {str(kind.__struct_config__.tag): msgspec.inspect.type_info(kind) for kind in get_args(AnyEvent)}
NEVER_WRITTEN = {
    "PlannedTask.along": "the fold gives it to a map that is expanded",
    "PlannedTask.item": "the fold knows an item by the number of its map",
    "PlannedTask.item_key": "the fold gives it to an item",
    "PlannedTask.items": "the fold gives them to a map that is expanded",
    "TaskAwaiting.lease": "what awaits has no worker: one way through the fold with what has one",
    "TaskLifted.kind": "only what awaits a child is lifted: one meaning with what awaits",
    "TaskLifted.until_ms": "nobody waits for a child for a time: one meaning with what awaits",
}


def _field(struct: StructType, name: str) -> str:
    """Under the name of who declares it: events share what those above them say."""
    declaring = [one for one in struct.cls.__mro__ if name in getattr(one, "__annotations__", {})]
    return f"{declaring[-1].__name__}.{name}"


def _words(info: Type) -> Sequence[Any]:
    if isinstance(info, UnionType):
        return [word for one in info.types for word in _words(one)]
    return info.values if isinstance(info, LiteralType) else ()


def _within(info: Type) -> Sequence[Type]:
    if isinstance(info, UnionType):
        return info.types
    if isinstance(info, ListType | VarTupleType):
        return (info.item_type,)
    return (info.value_type,) if isinstance(info, DictType) else ()


def _can_be_said(info: Type, known: set[type]) -> Iterator[str]:
    if isinstance(info, StructType) and info.cls not in known:
        known.add(info.cls)
        for field in info.fields:
            name = _field(info, field.name)
            yield name
            yield from (f"{name}: {word}" for word in _words(field.type) if word != field.default)
            yield from _can_be_said(field.type, known)
    for inner in _within(info):
        yield from _can_be_said(inner, known)


def _is_said(info: Type, value: Any) -> Iterator[str]:
    if isinstance(info, StructType) and isinstance(value, dict):
        for field in info.fields:
            if field.encode_name in value:
                said = cast("Any", value[field.encode_name])
                name = _field(info, field.name)
                yield from (name, f"{name}: {said}" if _words(field.type) else name)
                yield from _is_said(field.type, said)
    elif isinstance(info, UnionType):
        for one in info.types:
            yield from _is_said(one, value)
    elif isinstance(value, list | dict):
        parts = cast("Sequence[Any]", value.values() if isinstance(value, dict) else value)
        for inner in _within(info):
            for part in parts:
                yield from _is_said(inner, part)


@cache
def _golden(writer: str) -> frozenset[str]:
    found: set[str] = set()
    for file in EVENTS.glob(f"*/{writer}*.json"):
        found.update(_is_said(INFOS[file.parent.name], json.loads(file.read_bytes())))
    return frozenset(found)


@pytest.mark.parametrize("writer", ["lua", "python"])
def test_every_field_has_golden_bytes_of_each_writer(writer: str) -> None:
    known: set[type] = set()
    expected = {name for info in INFOS.values() for name in _can_be_said(info, known)}
    assert expected - _golden(writer) == set(NEVER_WRITTEN), "see tests/golden/README.md"


@pytest.mark.parametrize("kind", sorted(program.removeprefix("@") for program in WAITS))
def test_every_kind_of_waiting_has_golden_bytes(kind: str) -> None:
    files = (EVENTS / "task.awaiting").glob("lua*.json")
    assert kind in {json.loads(file.read_bytes())["kind"] for file in files}
