"""The tree of errors is the one that its docstring draws."""

import re

from flower_engine import errors
from flower_engine.errors import DefinitionError, FlowerError, TooLargeError


def test_the_drawn_tree_is_the_tree_of_classes() -> None:
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"([│├└─ ]*)(\w+Error)\b", line):
            drawn.append((len(found[1]) // 4, found[2]))

    def tree(kind: type[FlowerError], depth: int = 0) -> list[tuple[int, str]]:
        below = [
            row
            for child in kind.__subclasses__()
            if child.__module__ in (errors.__name__, "flower_engine")
            for row in tree(child, depth + 1)
        ]
        return [(depth, kind.__name__), *below]

    assert drawn == tree(FlowerError)


def test_every_error_is_caught_by_the_root() -> None:
    assert issubclass(TooLargeError, DefinitionError)
    assert issubclass(DefinitionError, FlowerError)
