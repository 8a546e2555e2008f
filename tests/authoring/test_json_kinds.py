"""Types that cannot fit are told from those that may."""

from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from authoring.sample import Address, File, Options, Packed, Point
from flower_engine.authoring.json_kinds import may_be

T = TypeVar("T")


class Level(Enum):
    LOW = 1


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        *[(int, int), (int, float), (int, int | None), (int | None, int), (str, date), (date, str)],
        *[(str, Path), (Any, int), (int, Any), (int, T), (None, int | None), (str, UUID), (int, Decimal)],
        *[
            (list[int], list[float]),
            (list[int], set[int]),
            (list[int], tuple[int, int]),
            (list[int], list[Any]),
        ],
        *[
            (tuple[int, str], tuple[int, str]),
            (File, File),
            (File, dict[str, Any]),
            (dict[str, Any], Address),
        ],
        *[
            (Options, dict[str, int]),
            (Point, tuple[int, int]),
            (Packed, list[Any]),
            (int, Level),
            (list[int], list),
        ],
    ],
)
def test_what_may_fit(given: Any, wanted: Any) -> None:
    assert may_be(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        *[
            (int, str),
            (str, int),
            (float, int),
            (bool, int),
            (int, bool),
            (None, int),
            (int, date),
            (int, UUID),
        ],
        *[(list[int], int), (list[int], list[str]), (list[list[int]], list[int]), (File, int), (int, File)],
        *[(File, list[Any]), (list[File], File), (tuple[int, str], tuple[int, str, int]), (Point, Address)],
        *[(dict[str, int], list[int]), (str, Level), (int | None, str | bool)],
    ],
)
def test_what_cannot_fit(given: Any, wanted: Any) -> None:
    assert not may_be(given, wanted)
