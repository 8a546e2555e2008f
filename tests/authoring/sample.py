"""Programs and types for the tests of workflows in Python."""

import dataclasses
from datetime import date
from enum import Enum
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic

from flower_engine import CONTEXT, Context, program


class File(msgspec.Struct, rename="camel", omit_defaults=True):
    file_path: str
    size: int = 0
    tags: list[str] = []
    note: str | None = None


class Total(msgspec.Struct):
    rows: int
    bad: int = 0


class Packed(msgspec.Struct, array_like=True, tag="packed"):
    left: int
    right: str


@dataclasses.dataclass
class Address:
    street: str
    file: File | None = None


class Point(NamedTuple):
    x: int
    y: int


class Options(TypedDict):
    depth: int


class Inner(pydantic.BaseModel):
    n: int = 0


class Model(pydantic.BaseModel):
    n: int
    inner: Inner | None = None


class Colour(Enum):
    RED = "red"


@program("Sample.list")
async def list_files(day: date, prefix: str = "in/") -> list[File]:
    return [File(f"{prefix}{day}", 3)]


@program("Sample.count", kind="process")
def count(file: File, *, strict: bool = False, note: str | None = None, ctx: Context = CONTEXT) -> int:
    return file.size


@program("Sample.add")
def add(numbers: list[int], start: int = 0) -> Total:
    return Total(sum(numbers) + start)


@program("Sample.clean")
def clean() -> None: ...


@program("Sample.anything")
def anything(value: Any = None, **more: Any) -> Any:
    return value


@program("Sample.old")
def old_style(ctx: Context, day: date) -> str:
    return f"{day}"


ORIGIN = Point(0, 0)


@program("Sample.typed")
def typed(
    *,
    when: date | None = None,
    colour: Colour = Colour.RED,
    point: Point = ORIGIN,
    options: Options | None = None,
    address: Address | None = None,
    model: Model | None = None,
    totals: dict[str, Total] | None = None,
    pair: tuple[int, str] = (1, ""),
) -> Address:
    return address or Address("")


@program("Sample.point")
def make_point() -> Point:
    return Point(1, 2)


@program("Sample.pair")
def make_pair() -> tuple[Total, str]:
    return Total(1), ""


@program("Sample.options")
def make_options() -> Options:
    return {"depth": 1}


@program("Sample.packed")
def make_packed() -> Packed:
    return Packed(1, "")


@program("Sample.model")
def make_model() -> Model:
    return Model(n=1)


@program("Sample.address")
def make_address() -> Address:
    return Address("")


@program("Sample.totals")
def make_totals() -> dict[str, Total]:
    return {}
