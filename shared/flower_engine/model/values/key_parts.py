"""Names that people give, as parts of the names of keys, lanes and limits."""

from functools import lru_cache

# "%" first; the others separate parts, in keys and in what ``call:<worker>`` remembers, or mark suspects.
_ESCAPED = "%:/, !*|@"


@lru_cache(4096)
def escape(name: str) -> str:
    """A name as a part of a key: what separates parts is percent-encoded, so that parts stay apart."""
    for character in _ESCAPED:
        name = name.replace(character, f"%{ord(character):02X}")
    return name


def unescape(part: str) -> str:
    """The name that :func:`escape` was given."""
    for character in reversed(_ESCAPED):
        part = part.replace(f"%{ord(character):02X}", character)
    return part
