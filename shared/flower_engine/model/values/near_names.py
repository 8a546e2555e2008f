"""Names that are near to one that nobody knows."""

from collections.abc import Iterable
from difflib import get_close_matches

_MOST = 3
_MOST_COMPARED = 5_000


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of the known names, the most alike first, whatever their case."""
    by_folded: dict[str, str] = {}
    for one in known:
        by_folded.setdefault(one.casefold(), one)
        if len(by_folded) == _MOST_COMPARED:
            break
    found = get_close_matches(name.casefold()[:256], by_folded, _MOST, 0.6)
    return [by_folded[one] for one in found]


def nearest_in_words(name: str, known: Iterable[str]) -> str:
    """ "; nearest: a, b", or "" where nothing is near."""
    found = nearest(name, known)
    return f"; nearest: {', '.join(found)}" if found else ""
