"""A text is taken apart whatever else takes one apart at the same moment."""

import ast
import contextlib
import gc
from collections.abc import Callable

import pytest

from flower_engine.model.values.syntax_trees import expression_tree, module_tree


class _Parses:
    """Garbage that parses something when it is collected, as a traceback does that is printed then."""

    parsed = 0

    def __init__(self) -> None:
        self.own = self  # so that only the collector finds it

    def __del__(self) -> None:
        _Parses.parsed += 1
        with contextlib.suppress(SystemError):
            ast.parse("deep([[[[[[[[]]]]]]]])")


@pytest.mark.parametrize("tree_of", [module_tree, expression_tree])
def test_what_garbage_parses_meanwhile_is_no_fault(tree_of: Callable[[str], ast.AST]) -> None:
    text = "(" + ", ".join(f"f(a, [1, 2, (3, {one})], {{'c': {one}}})" for one in range(300)) + ")"
    wanted = ast.dump(tree_of(text))
    before, was_on = gc.get_threshold(), gc.isenabled()
    gc.collect()
    for threshold in (100, 200, 300, 400, 500, 600, 700):
        parsed = _Parses.parsed
        gc.disable()
        for _ in range(50):
            _Parses()
        gc.set_threshold(threshold)
        gc.enable()
        try:
            assert ast.dump(tree_of(text)) == wanted
        finally:
            gc.set_threshold(*before)
            if not was_on:
                gc.disable()
        assert _Parses.parsed > parsed
