"""Pieces of the text of a recorded test."""

from collections.abc import Iterator, Sequence
from pprint import pformat
from typing import Any

Json = dict[str, Any]
_WIDTH = 100


class NotRecordableError(Exception):
    """No test can repeat the flow; says why."""


def lines_of(head: str, words: Sequence[str]) -> Iterator[str]:
    """A call, on one line if it fits."""
    short = f"{head}({', '.join(words)})"
    if len(short) <= _WIDTH and "\n" not in short:
        yield short
        return
    yield f"{head}("
    for word in words:
        yield from (f"    {line}" for line in f"{word},".splitlines())
    yield ")"


def literal(value: Any) -> str:
    return pformat(value, width=_WIDTH, sort_dicts=False)


def name_of(task: Json) -> str:
    return task["taskName"] or str(task["taskSeq"])
