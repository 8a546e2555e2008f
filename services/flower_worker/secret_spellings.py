"""In which forms a secret stands in texts that programs write."""

import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote


def spellings(values: Iterable[str]) -> list[str]:
    """Each value as it is, as Python's repr has it, which tracebacks and errors quote, as it stands in JSON,
    also where that is a text of JSON in turn, and as in an address; the longest first."""
    forms = dict.fromkeys(form for value in values for form in _spellings(value))
    return sorted(forms, key=lambda form: (-len(form), form))


def _spellings(value: str) -> Iterator[str]:
    yield value
    yield repr(value)[1:-1]
    yield quote(value, errors="surrogateescape")
    yield quote(value, safe="", errors="surrogateescape")
    for ensure_ascii in (True, False):
        once = json.dumps(value, ensure_ascii=ensure_ascii)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ensure_ascii)[1:-1]
