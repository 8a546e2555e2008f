"""Many tasks as operations send and tell them: runs of numbers, ``2-9,12``, in their order."""

from collections.abc import Iterable


def runs_of(tasks: Iterable[int]) -> str:
    """The text of these tasks."""
    runs: list[list[int]] = []
    for task in tasks:
        if runs and task == runs[-1][1] + 1:
            runs[-1][1] = task
        else:
            runs.append([task, task])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def tasks_of(runs: str) -> tuple[int, ...]:
    """The tasks of such a text."""
    found: list[int] = []
    for run in runs.split(",") if runs else ():
        first, _, last = run.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
