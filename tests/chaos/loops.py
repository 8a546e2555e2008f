"""Programs that ask for another round."""

from chaos.programs import trace
from flower_engine import Again, Context, program

PAGES = 5
"""Rounds that a loop has, the first one included."""


@program
def paged(context: Context, n: int = 0, page: int = 0, seen: list[int] | None = None) -> list[int]:
    """Goes through its pages, a round for each, at once or a moment later; a round fails now and then."""
    trace(context, 0.01, fails=0.05)
    read = [*(seen or []), page + n]
    if page + 1 < PAGES:
        raise Again({"page": page + 1, "seen": read}, after=0.05 * (page % 2) or None)
    return read


@program
def paged_whole(context: Context, n: int = 0, page: int = 0) -> int:
    """The same by rounds of the whole flow, each of which is a flow of its own."""
    trace(context, 0.01, fails=0.05)
    if page + 1 < PAGES:
        raise Again({"page": page + 1}, after=0.05 * (page % 2) or None, of="flow")
    return n + page
