"""What a worker and its child processes say to each other: MessagePack in frames with their length."""

from typing import Literal

import msgspec

from flower_engine.programs.code_image import Kept
from flower_engine.programs.context import Progress
from flower_engine.programs.parameter_binding import Provenance

LENGTH_BYTES = 4
STARTED = b"!"  # one byte, before the program is called: from here on the attempt has begun


class BlobSettings(msgspec.Struct, frozen=True):
    """Where a child finds the stores of blobs; ``most_bytes`` of JSON may be in a result."""

    names: tuple[str, ...]
    api_url: str
    token: str | None
    most_bytes: int


class Hello(msgspec.Struct, frozen=True):
    """First to the child: where and what to import, and how to log. ``image`` are modules as the worker
    imported them; ``since`` is when it had imported its programs. ``token``: what it writes is kept
    (``task_logs/frames.py``), and its own log goes to the descriptor ``console`` (-1: there is none)."""

    path: list[str]
    modules: tuple[str, ...]
    log_level: str
    log_format: Literal["text", "json"] = "text"
    image: tuple[Kept, ...] = ()
    since: float | None = None
    blobs: BlobSettings | None = None
    token: str = ""
    console: int = -1


class Importing(msgspec.Struct, frozen=True, tag=True):
    """From the child: it is about to import this module; "": it has done so with all."""

    module: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """From the child: it serves these programs; why it serves no others that the worker may know."""

    programs: tuple[str, ...]
    problems: tuple[str, ...]


class Job(msgspec.Struct, frozen=True):
    """To the child: run this. ``message`` is a TaskMessage; ``progress`` the JSON of an earlier Progress;
    ``provenance`` say where values of its parameters are from; what stands in ``secrets`` is not logged."""

    flow: str
    task: int
    attempt: int
    worker: str
    program: str
    message: bytes
    progress: bytes = b""
    provenance: dict[str, Provenance] = {}
    secrets: tuple[str, ...] = ()


class Transferring(msgspec.Struct, frozen=True, tag=True):
    """From the child, any number of times: what it brings to a store of blobs, in words; "": nothing more."""

    what: str


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """From the child, any number of times: what the program told of its progress."""

    progress: Progress


class Finished(msgspec.Struct, frozen=True, tag=True):
    """From the child, at last: what came of it (an OutcomeKind, its payload and its number)."""

    kind: str
    payload: bytes
    number: int


def frame(message: Hello | Importing | Ready | Job | Progressed | Transferring | Finished) -> bytes:
    """The message as it goes over the socket."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
