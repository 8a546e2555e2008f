"""One line of a task log: whatever a program or its libraries wrote, as text that every store takes.

A message of ``logging`` is one line, with newlines in its text if it has any; of a stream, a line ends where
the program ended it.
"""

from typing import Annotated, Literal

import msgspec

MAX_TEXT_BYTES = 16 * 1024
"""Most bytes of a line's text, in UTF-8; what is longer is cut, with a mark."""
MAX_LOGGER_CHARACTERS = 200
MAX_LEVEL = 1000
OUT_LEVEL, ERR_LEVEL = 20, 30

Stream = Literal["out", "err", "log", "engine"]
"""Standard output, standard error, the library ``logging``, or what Flower says about the log itself."""

_MOST_MS = 1 << 53
_MOST_JSON_BYTES = 3 * MAX_TEXT_BYTES  # a control character takes six bytes there
_ORDINARY = MAX_TEXT_BYTES // 6  # characters that cannot be too many, whatever they are
_NUL = "\N{SYMBOL FOR NULL}"
_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A line. ``number`` counts the lines of its attempt from 1, kept or not; ``ms`` is when it was written,
    Unix time by the worker's clock; ``level`` is a number of ``logging``; ``logger`` is "" for streams."""

    number: Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
    ms: Annotated[int, msgspec.Meta(ge=0, le=_MOST_MS)]
    stream: Stream
    level: Annotated[int, msgspec.Meta(ge=0, le=MAX_LEVEL)]
    logger: Annotated[str, msgspec.Meta(max_length=MAX_LOGGER_CHARACTERS)]
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_BYTES)]


def line_text(written: str | bytes, size: int = 0) -> str:
    """Text that every store takes: NUL becomes U+2400, bytes and characters that are none U+FFFD, and what is
    longer than ``MAX_TEXT_BYTES`` is cut behind its beginning, with a mark. ``size``: how long the whole is,
    in what ``written`` consists of, where that is only its beginning."""
    if type(written) is str and size <= len(written) <= _ORDINARY and written.isascii():
        return written.replace("\0", _NUL)
    size = max(size, len(written))
    if isinstance(written, str):
        unit = "characters"
        # Of a subclass the plain text: its own methods may raise.
        text = str.__str__(written)[:MAX_TEXT_BYTES]
    else:
        unit = "bytes"
        text = written[:MAX_TEXT_BYTES].decode(errors="replace")
    text = text.replace("\0", _NUL).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    most = MAX_TEXT_BYTES
    if len(_encode(text)) > _MOST_JSON_BYTES:
        most //= 3
    if size <= MAX_TEXT_BYTES and len(text.encode()) <= most:
        return text
    mark = f" ... [cut: the line has {size} {unit}]"
    return text.encode()[: most - len(mark)].decode(errors="ignore") + mark


def line_level(level: int) -> int:
    """The level of a record, as a line may have it."""
    return min(max(int(level), 0), MAX_LEVEL)


def line_ms(seconds: float) -> int:
    """When a record was made (Unix seconds), as a line may have it; 0: it says no time that there is."""
    return int(seconds * 1000) if 0 < seconds < _MOST_MS / 1000 else 0


def logger_name(name: str) -> str:
    """The name of a logger, as a line may have it."""
    plain = str.__str__(name)
    short = plain if len(plain) <= MAX_LOGGER_CHARACTERS else f"{plain[: MAX_LOGGER_CHARACTERS - 1]}…"
    return short if short.isascii() and "\0" not in short else line_text(short)
