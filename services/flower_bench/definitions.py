"""Workflows that several workloads run."""

from typing import Any


def line(tasks: int, program: str = "Noop") -> list[dict[str, Any]]:
    """So many tasks, one after the other."""
    return [{"taskSeq": seq, "program": program, "taskPriority": 0} for seq in range(1, tasks + 1)]


def fan(wide: int) -> list[dict[str, Any]]:
    """One task, then ``wide`` at once, then one that waits for all of them."""
    middle = range(2, wide + 2)
    return [
        {"taskSeq": 1, "program": "Noop"},
        *({"taskSeq": seq, "program": "Noop", "dependsOn": [1]} for seq in middle),
        {"taskSeq": wide + 2, "program": "Noop", "dependsOn": list(middle)},
    ]
