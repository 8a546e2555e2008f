"""Parts of a result are found where its JSON has them, and nothing else is."""

import dataclasses
from datetime import date
from typing import Annotated, Any, Generic, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from flower_engine.authoring.result_types import NoMemberError, field_of, item_of
from flower_engine.model.values.json_pointer import pointer_to, value_at
from flower_engine.model.values.result_json import encode_result

T = TypeVar("T")
Name = NewType("Name", str)


class Leaf(msgspec.Struct, rename="camel"):
    one_name: str
    other_name: Annotated[int, msgspec.Meta(ge=0)] = 0


class Omitting(msgspec.Struct, omit_defaults=True):
    first: int
    many: list[int] = []
    unset: int | msgspec.UnsetType = msgspec.UNSET


class Tagged(msgspec.Struct, array_like=True, tag=True):
    left: int
    right: Leaf


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next_page: "Page[T] | None" = None


@dataclasses.dataclass
class Data:
    leaf: Leaf
    by_day: dict[date, int]


class Pair(NamedTuple):
    x: int
    leaf: Leaf


class Keys(TypedDict, total=False):
    depth: int
    name: NotRequired[Name]


class Aliased(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(serialize_by_alias=True)

    a_name: int = pydantic.Field(alias="aName")

    @pydantic.computed_field
    @property
    def twice(self) -> int:
        return 2 * self.a_name


class Plain(pydantic.BaseModel):
    a_name: int = pydantic.Field(alias="aName")


LEAF = Leaf("one", 2)
WHERE: list[tuple[Any, Any, list[str | int], Any]] = [
    # the type, a value, the way into it as Python code goes (a field begins with a dot), what is there
    (Leaf, LEAF, [".one_name"], "one"),
    (Leaf | None, LEAF, [".other_name"], 2),
    (list[Leaf], [LEAF], [0, ".other_name"], 2),
    (Annotated[tuple[Leaf, ...], "some"], (LEAF, LEAF), [1, ".one_name"], "one"),
    (Tagged, Tagged(1, LEAF), [".left"], 1),
    (Tagged, Tagged(1, LEAF), [".right", ".one_name"], "one"),
    (Page[Leaf], Page([LEAF]), [".items", 0, ".one_name"], "one"),
    (Page[Leaf], Page([], Page([LEAF])), [".next_page", ".items", 0, ".one_name"], "one"),
    (Data, Data(LEAF, {}), [".leaf", ".one_name"], "one"),
    (Data, Data(LEAF, {date(2026, 1, 5): 7}), [".by_day", "2026-01-05"], 7),
    (Pair, Pair(1, LEAF), [".leaf", ".one_name"], "one"),
    (Pair, Pair(1, LEAF), [0], 1),
    (tuple[int, Leaf], (1, LEAF), [1, ".one_name"], "one"),
    (Keys, {"depth": 3}, ["depth"], 3),
    (dict[str, list[Leaf]], {"a/b~c": [LEAF]}, ["a/b~c", 0, ".one_name"], "one"),
    (dict[int, str], {5: "x"}, [5], "x"),
    (Aliased, Aliased(aName=4), [".a_name"], 4),
    (Aliased, Aliased(aName=4), [".twice"], 8),
    (Plain, Plain(aName=4), [".a_name"], 4),
    (Any, {"a": [{"b": 1}]}, ["a", 0, ".b"], 1),
    (Omitting, Omitting(1, [2]), [".many", 0], 2),
    (Omitting, Omitting(1, unset=3), [".unset"], 3),
]


@pytest.mark.parametrize(("kind", "value", "way", "there"), WHERE)
def test_the_pointer_leads_to_the_part_in_its_json(
    kind: Any, value: Any, way: list[str | int], there: Any
) -> None:
    pointer = ""
    for step in way:
        is_field = isinstance(step, str) and step.startswith(".")
        member = field_of(kind, step[1:]) if is_field and isinstance(step, str) else item_of(kind, step)
        kind, pointer = member.annotation, pointer + pointer_to(member.step)
    assert value_at(msgspec.json.decode(encode_result(value)), pointer) == there


@pytest.mark.parametrize(
    ("kind", "step", "says"),
    [
        (Leaf, ".oneName", "has no field 'oneName'; nearest: one_name, other_name; it has"),
        (Leaf, "one_name", "Leaf has no items"),
        (list[Leaf], ".one_name", "has no fields"),
        (list[Leaf], "0", "has items by number, not '0'"),
        (list[Leaf], -1, "counted from the front"),
        (tuple[int, str], 2, "has 2 items, counted from 0"),
        (Pair, 2, "has 2 items"),
        (Keys, ".depth", "has keys, no fields; write ['depth']"),
        (Keys, "dept", "has no key 'dept'; nearest: depth"),
        (dict[str, int], 0, "has keys of type str, not 0"),
        (dict[int, int], "a", "has keys of type int, not 'a'"),
        (dict[str, int], ".keys", "has keys, no fields"),
        (str, ".upper", "str has no fields"),
        (int | str, 0, "has no items"),
        (None, ".x", "NoneType has no fields"),
        (Leaf | Data, ".one_name", "Data has no field 'one_name'"),
        (Tagged | Plain, ".left", "Plain has no field 'left'"),
    ],
)
def test_what_is_not_there_is_refused(kind: Any, step: str | int, says: str) -> None:
    with pytest.raises(NoMemberError) as error:
        if isinstance(step, str) and step.startswith("."):
            field_of(kind, step[1:])
        else:
            item_of(kind, step)
    assert says in str(error.value)


def test_only_a_field_that_json_leaves_out_has_its_default() -> None:
    assert field_of(Omitting, "many").default == []
    assert field_of(Omitting, "first").default is msgspec.UNSET
    assert field_of(Omitting, "unset").default is msgspec.UNSET
    assert field_of(Leaf, "other_name").default is msgspec.UNSET
