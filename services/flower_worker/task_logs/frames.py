"""Records of ``logging`` as a child process puts them between what it writes to standard output, so that
their order is kept: a sign that only it and its worker know, JSON, and the end of the line."""

import msgspec

from flower_engine.task_logs.lines import MAX_TEXT_BYTES, line_level, line_text, logger_name

MOST_BYTES = 4 * MAX_TEXT_BYTES  # of a frame without its sign


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A record of ``logging``."""

    ms: int
    level: int
    logger: str
    text: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


def sign(token: str) -> bytes:
    """What a frame begins with."""
    return b"\x1e" + token.encode()


def encode(mark: bytes, ms: int, level: int, logger: str, text: str) -> bytes:
    """A frame."""
    return mark + _encode(Record(ms, line_level(level), logger_name(logger), line_text(text))) + b"\n"


def decode(content: bytes) -> Record | None:
    """What stands in a frame behind its sign; None: it is none."""
    try:
        return _decode(content)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
