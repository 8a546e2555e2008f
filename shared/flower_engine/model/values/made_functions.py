"""Functions that are made from tables of ours once, when they are imported.

They are made as source text, as the methods of dataclasses are: every event is counted with one, and reading
the table each time would take longer than doing what it says.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def function_of(lines: Sequence[str], parameters: str, names: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of these lines, which may use these names."""
    source = "\n    ".join([f"def made({parameters}):", *(lines or ["pass"])])
    known = dict(names)
    exec(compile(source, "<made from a table>", "exec"), known)
    return known["made"]
