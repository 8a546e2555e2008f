"""What a worker and its child processes say to each other: MessagePack in frames with their length."""

import msgspec

LENGTH_BYTES = 4
STARTED = b"!"  # one byte, before the program is called: from here on the attempt has begun


class Hello(msgspec.Struct, frozen=True):
    """First to the child: where and what to import, and how to log."""

    path: list[str]
    modules: tuple[str, ...]
    log_level: str


class Job(msgspec.Struct, frozen=True):
    """To the child: run this. ``message`` is a TaskMessage."""

    flow: str
    task: int
    attempt: int
    worker: str
    message: bytes


class Finished(msgspec.Struct, frozen=True):
    """From the child: what came of it (an OutcomeKind and its payload)."""

    kind: str
    payload: bytes


def frame(message: Hello | Job | Finished) -> bytes:
    """The message as it goes over the socket."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
