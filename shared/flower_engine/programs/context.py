"""What a running program may know about its attempt."""

import msgspec


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Injected into a program that has a parameter annotated ``Context``.

    ``attempt`` counts from 1 and is never reset: with ``flow`` and ``task`` it makes a good idempotency key
    for what the program does elsewhere.
    """

    flow: str
    task: int
    attempt: int
    workflow: str
    task_seq: int
    program: str
    worker: str
