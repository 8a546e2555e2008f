"""Programs that print nothing, one line, and 100 MB; for ``task_logs.py`` and ``loud_task.py``."""

from flower_engine import program

_LINE = "x" * 80
_LOUD_LINE = "x" * 99  # and its end
_LOUD_LINES = 1_000_000


@program("Silent")
async def silent() -> None:
    """Nothing."""


@program("OneLine")
async def one_line() -> None:
    """One line of 80 characters."""
    print(_LINE)


@program("LoudThread")
def loud_thread() -> None:
    """100 MB, in the worker itself."""
    _print_much()


@program("LoudProcess", kind="process")
def loud_process() -> None:
    """100 MB, in a process."""
    _print_much()


def _print_much() -> None:
    for _ in range(_LOUD_LINES):
        print(_LOUD_LINE)
