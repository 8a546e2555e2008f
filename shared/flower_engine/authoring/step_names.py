"""Names of tasks that nobody named: that of the variable that the step is assigned to, else the program's."""

import ast
import re
from collections.abc import Container
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType

from flower_engine.authoring.source_text import State, source_of, state_of
from flower_engine.model.values.syntax_trees import module_tree

_LONGEST = 128  # as TASK_NAME_PATTERN says
_NO_NAME = re.compile(r"[^A-Za-z0-9_]+")

End = tuple[int | None, int | None]
"""Where a call ends in its file: line (from 1), column (from 0, in bytes). No other call ends there. Where it
begins is not the same for Python's compiler and its parser, if it is a chain over several lines."""


def name_of_step(frame: FrameType | None, program: str) -> str:
    """A name for the step that is called in this frame, as a task may have it; it may be taken already."""
    variable = ""
    if frame is not None:
        variable = _variable_of(frame.f_code, frame.f_lasti, state_of(frame.f_code.co_filename))
    name = variable or _NO_NAME.sub("_", program).strip("_") or "task"
    return ("_" + name if name[0].isdigit() else name)[:_LONGEST]


class UniqueNames:
    """Makes names unique: the name, or the first of ``name_2``, ``name_3``... that is free."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def unique(self, name: str, taken: Container[str]) -> str:
        """One that is not taken; the work does not grow with how often the name was asked for."""
        unique, number = name, self._numbers.get(name, 1)
        while unique in taken:
            number += 1
            suffix = f"_{number}"
            unique = name[: _LONGEST - len(suffix)] + suffix
        self._numbers[name] = number
        return unique


@lru_cache(4096)
def _variable_of(code: CodeType, instruction: int, state: State) -> str:
    for _, line, _, column in islice(code.co_positions(), instruction // 2, None):
        return _variables(code.co_filename, state).get((line, column), "")
    return ""


@lru_cache(64)
def _variables(file: str, _state: State) -> dict[End, str]:
    """The variables of a file that a call is assigned to, by the end of the call."""
    try:
        tree = module_tree(source_of(file))
    except (SyntaxError, ValueError):  # it changed since it was imported, or is no text
        return {}
    found: dict[End, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and isinstance(value, ast.Call) and target.id.isascii():
            found[value.end_lineno, value.end_col_offset] = target.id
    return found
