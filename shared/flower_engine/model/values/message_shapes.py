"""The shape of an error's message: what is the same in messages that differ by a number, an id or a name."""

import re

_MOST = 200  # characters
_PARTS = re.compile(
    r"""(?P<uuid>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)
    | (?P<quoted>'[^'\n]{0,200}' | "[^"\n]{0,200}" | `[^`\n]{0,200}`)
    | (?P<hex>\b0x[0-9a-fA-F]+\b | \b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b)
    | (?P<number>\d+(?:[.,:_-]\d+)*)
    """,
    re.VERBOSE,
)
_SHOWN = {"uuid": "ID", "quoted": "'...'", "hex": "ID", "number": "N"}


def shape_of(message: str) -> str:
    """The first line, with N for numbers and times, ID for ids, and '...' for what is quoted."""
    line = next((one for one in map(str.strip, message.splitlines()) if one), "")
    return _PARTS.sub(lambda found: _SHOWN[found.lastgroup or ""], line[: 2 * _MOST])[:_MOST]
