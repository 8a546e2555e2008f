"""What programs say of themselves, made of their functions."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest

from flower_engine.insight.published_signatures import digest_of, hash_of
from flower_engine.programs.context import Context
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.registry import Registry
from flower_engine.programs.self_description import MAX_DESCRIPTION, published
from flower_engine.programs.signature import Signature


class File(msgspec.Struct):
    name: str
    size: int = 0


class Model(pydantic.BaseModel):
    shown: int = pydantic.Field(alias="written")


class Hostile:
    @classmethod
    def model_validate(cls, value: Any) -> "Hostile":
        return cls()

    @classmethod
    def model_json_schema(cls, **_: Any) -> dict[str, Any]:
        raise SystemError("no")


def listed(context: Context, folder: Path, most: int = 5, word: str = "secret") -> list[File]:
    """Lists files
    of a folder.

    And more.
    """
    raise NotImplementedError


def open_ended(first: Hostile, model: Model, **others: float) -> Model: ...  # type: ignore[empty-body]
def untyped(a, b=None): ...  # type: ignore[no-untyped-def]


def of(function: Any) -> PublishedProgram:
    return published(Registry().add(function, "P", None))


def test_a_program_says_what_it_takes_and_gives() -> None:
    told = of(listed)
    assert told.parameters_schema == {
        "type": "object",
        "properties": {
            "folder": {"type": "string"},
            "most": {"type": "integer", "default": 5},
            "word": {"type": "string"},  # a text that may have come from the environment is not told
        },
        "required": ["folder"],
        "additionalProperties": False,
    }
    assert told.result_schema is not None
    assert told.result_schema["items"] == {"$ref": "#/$defs/File"}
    assert set(told.result_schema["$defs"]["File"]["properties"]) == {"name", "size"}
    assert (told.kind, told.description) == ("thread", "Lists files of a folder.")


def test_a_type_that_fails_at_its_schema_leaves_the_others_theirs() -> None:
    told = of(open_ended)
    assert told.parameters_schema is not None
    assert told.parameters_schema["properties"]["first"] == {}
    assert list(told.parameters_schema["properties"]["model"]["properties"]) == ["written"]
    assert told.parameters_schema["additionalProperties"] == {"type": "number"}
    assert told.result_schema is not None
    assert list(told.result_schema["properties"]) == ["shown"]  # as results are written


def test_what_says_nothing_is_anything() -> None:
    told = of(untyped)
    assert told.parameters_schema is not None
    assert told.parameters_schema["properties"] == {"a": {}, "b": {"default": None}}
    assert (told.result_schema, told.description) == ({}, "")


def test_descriptions_and_schemas_are_bounded() -> None:
    def documented() -> None: ...

    documented.__doc__ = "word " * 1_000
    assert len(of(documented).description) == MAX_DESCRIPTION
    assert of(partial(documented)).description == of(documented).description
    wide = msgspec.defstruct("wide", [(f"field_{number}", int) for number in range(2_000)])

    def wide_result() -> Any: ...

    wide_result.__annotations__["return"] = wide
    assert of(wide_result).result_schema is None


FUNCTIONS: list[Callable[..., Any]] = [listed, open_ended, untyped]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_those_who_know_of_signatures_alone_read_them_all_the_same(function: Any) -> None:
    told = of(function)
    text = msgspec.json.encode(told)
    assert msgspec.json.decode(text, type=PublishedProgram) == told
    assert msgspec.json.decode(text, type=Signature) == Registry().add(function, "P", None).binder.signature


def test_versions_are_told_apart_by_all_that_they_say() -> None:
    told = of(listed)
    other = msgspec.structs.replace(told, description="Other words.")
    assert hash_of(told) == hash_of(of(listed)) != hash_of(other)
    assert digest_of({"P": told}) != digest_of({"P": other})
