"""Positions in a log: ``"<ms>-<n>"``, the id of an entry of its stream."""


def as_numbers(position: str | None) -> tuple[int, int]:
    """A position as numbers that can be compared; None or "", before the first event, is (0, 0)."""
    ms, _, number = (position or "0").partition("-")
    return int(ms), int(number or 0)
