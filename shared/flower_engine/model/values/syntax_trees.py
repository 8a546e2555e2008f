"""Syntax trees of Python's texts.

Up to Python 3.12 the parser counts how deep it is in one place for all threads, and takes it for a fault of
its own (SystemError) when something else parses meanwhile: another thread, or a traceback that is printed
while garbage is collected. Then it is asked again.
"""

import ast
from collections.abc import Callable
from typing import TypeVar

_TRIES = 5
T = TypeVar("T")


def module_tree(text: str) -> ast.Module:
    """That of a file.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is none of Python's.
    """
    return _again(lambda: ast.parse(text))


def expression_tree(text: str) -> ast.expr:
    """That of an expression; raises as :func:`module_tree` does."""
    return _again(lambda: ast.parse(text, mode="eval")).body


def _again(parse: Callable[[], T]) -> T:
    for _ in range(_TRIES - 1):
        try:
            return parse()
        except SystemError:
            continue
    return parse()
