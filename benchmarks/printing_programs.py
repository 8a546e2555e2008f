"""Programs that print nothing, and one line; for ``benchmarks/task_logs.py``."""

from flower_engine import program

_LINE = "x" * 80


@program("Silent")
async def silent() -> None:
    """Nothing."""


@program("OneLine")
async def one_line() -> None:
    """One line of 80 characters."""
    print(_LINE)
