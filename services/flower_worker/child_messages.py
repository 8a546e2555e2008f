"""What a worker and its child processes say to each other: MessagePack in frames with their length."""

import msgspec

from flower_engine.programs.code_image import Kept
from flower_engine.programs.context import Progress

LENGTH_BYTES = 4
STARTED = b"!"  # one byte, before the program is called: from here on the attempt has begun


class Hello(msgspec.Struct, frozen=True):
    """First to the child: where and what to import, and how to log. ``image`` are modules as the worker
    imported them; ``since`` is when it had imported its programs."""

    path: list[str]
    modules: tuple[str, ...]
    log_level: str
    image: tuple[Kept, ...] = ()
    since: float | None = None


class Importing(msgspec.Struct, frozen=True, tag=True):
    """From the child: it is about to import this module; "": it has done so with all."""

    module: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """From the child: it serves these programs; why it serves no others that the worker may know."""

    programs: tuple[str, ...]
    problems: tuple[str, ...]


class Job(msgspec.Struct, frozen=True):
    """To the child: run this. ``message`` is a TaskMessage; ``progress`` the JSON of an earlier Progress."""

    flow: str
    task: int
    attempt: int
    worker: str
    program: str
    message: bytes
    progress: bytes = b""


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """From the child, any number of times: what the program told of its progress."""

    progress: Progress


class Finished(msgspec.Struct, frozen=True, tag=True):
    """From the child, at last: what came of it (an OutcomeKind, its payload and its number)."""

    kind: str
    payload: bytes
    number: int


def frame(message: Hello | Importing | Ready | Job | Progressed | Finished) -> bytes:
    """The message as it goes over the socket."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
