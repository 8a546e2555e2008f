"""``zipped(a, b)`` and ``flat(x)``: what else than a list a map may go over."""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar, cast, overload

import msgspec

from flower_engine.authoring.ref import refusal

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
T = TypeVar("T")


class Lists(msgspec.Struct, frozen=True):
    """Lists that a map goes over together; ``how``: as its parameters say it."""

    how: Literal["zipped", "flat"]
    lists: tuple[object, ...]


@overload
def zipped(first: Sequence[A], second: Sequence[B], /) -> list[tuple[A, B]]: ...
@overload
def zipped(first: Sequence[A], second: Sequence[B], third: Sequence[C], /) -> list[tuple[A, B, C]]: ...
@overload
def zipped(
    first: Sequence[Any],
    second: Sequence[Any],
    third: Sequence[Any],
    fourth: Sequence[Any],
    /,
    *more: Sequence[Any],
) -> list[tuple[Any, ...]]: ...


def zipped(*lists: Sequence[Any]) -> Any:
    """Lists side by side, for ``.map``: ``compare.map(zipped(before, after))`` runs for each pair. They must
    be of one length when they are known, else the map is suspended.

    Raises:
        DefinitionError: it is given fewer than two lists.
    """
    if len(lists) < 2:
        raise refusal(None, "calls zipped() with fewer than two lists", "a single one is mapped as it is")
    return cast("Any", Lists("zipped", lists))


def flat(lists: Sequence[Sequence[T]]) -> list[T]:
    """A list of lists as one list, for ``.map``: ``count.map(flat(listings))`` runs for each element of each,
    in their order."""
    return cast("list[T]", Lists("flat", (lists,)))
