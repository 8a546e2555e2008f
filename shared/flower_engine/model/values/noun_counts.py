"""Counts in words: a number with its noun and verb in singular or plural."""

from collections.abc import Sequence


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """``1 unit``, ``2,000 units``; ``nouns`` where the plural is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def tasks_in_words(tasks: Sequence[object]) -> str:
    """``task 1``, ``tasks 1 and 2``, ``tasks 1, 2, 3``; with "..." last, that there are more."""
    names = [str(task) for task in tasks]
    if len(names) == 1:
        return f"task {names[0]}"
    return "tasks " + (" and " if len(names) == 2 else ", ").join(names)


def are(number: int) -> str:
    """The verb that follows a number of things."""
    return "is" if number == 1 else "are"
