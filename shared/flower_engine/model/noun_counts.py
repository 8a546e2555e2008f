"""Counts in words: a number with its noun and verb in singular or plural."""


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """``1 unit``, ``2,000 units``; ``nouns`` where the plural is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def are(number: int) -> str:
    """The verb that follows a number of things."""
    return "is" if number == 1 else "are"
