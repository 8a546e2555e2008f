"""Paths into results, by the schemas of types: what cannot be there is told, and nothing else."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypedDict

import msgspec
import pytest

from flower_engine.model.parameters.schema_paths import missing_in
from flower_engine.programs.json_schemas import schemas_of


class Kind(Enum):
    A = "a"


class Size(msgspec.Struct, rename="camel"):
    in_bytes: int


class Keyed(TypedDict, total=False):
    key: int


@dataclass
class File:
    name: str
    size: Size | None = None
    kind: Kind = Kind.A


class Tree(msgspec.Struct):
    children: list["Tree"] = []


def schema(annotation: Any) -> dict[str, Any]:
    (made,), definitions = schemas_of([annotation], of_results=True)
    return {**made, "$defs": definitions}


@pytest.mark.parametrize(
    ("annotation", "path"),
    [
        *((Any, "/a/b"), (dict[str, Any], "/a/b"), (dict[str, File], "/x/name"), (list[Any], "/7/x")),
        *((File, "/name"), (File, "/size/inBytes"), (list[File], "/0/size/inBytes"), (File | None, "/name")),
        *(
            (tuple[int, File], "/1/name"),
            (tuple[int, ...], "/99"),
            (Keyed, "/key"),
            (list[int] | File, "/name"),
        ),
        *((Tree, "/children/0/children/1"), (int, ""), (object, "/a")),
    ],
)
def test_a_path_that_may_be_there_is_not_missing(annotation: Any, path: str) -> None:
    assert missing_in(schema(annotation), path) is None


@pytest.mark.parametrize(
    ("annotation", "path", "said"),
    [
        (File, "/nme", "it is an object with name, size, kind"),
        (list[File], "/name", "it is a list"),
        (list[File], "/0/sise", "at '/0' there is an object with name, size, kind"),
        (File, "/size/in_bytes", "at '/size' there is an object with inBytes or null"),
        (dict[str, int], "/a/b", "at '/a' there is a number"),
        (tuple[int, int], "/2", "it is a list of at most 2"),
        (File, "/name/0", "at '/name' there is a text"),
        (File, "/kind/x", "at '/kind' there is one of certain values"),
        (Literal["a", "b"], "/x", "it is one of certain values"),
        (None, "/x", "it is null"),
    ],
)
def test_a_path_that_no_value_has_is_missing(annotation: Any, path: str, said: str) -> None:
    found = missing_in(schema(annotation), path)
    assert found is not None
    assert set(said.split(" or ")) == set(found.split(" or ")) or said == found


ODD: list[dict[str, Any]] = [
    *({"$ref": "#/$defs/none"}, {"$ref": "#"}, {"anyOf": 3}, {"anyOf": [True]}, {"allOf": [{}, {}]}),
    *({"type": ["object", "null"]}, {"type": "object", "properties": {"a": True}}),
    {"type": "object", "properties": {"b": {}}, "patternProperties": {"a": {}}},
]


@pytest.mark.parametrize("odd", ODD)
def test_in_doubt_nothing_is_missing(odd: dict[str, Any]) -> None:
    assert missing_in(odd, "/a") is None
