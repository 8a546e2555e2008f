"""What a running program may know about its attempt, and tell of it."""

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.model.values.result_json import clean_text

MAX_NOTE_CHARACTERS = 1_000
_ROUNDING = 1e-9


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far an attempt says it is: a share of the whole (0..1), if it can tell, and a note."""

    fraction: float | None = None
    note: str = ""


def _tell_nobody(_progress: Progress) -> None:
    """For contexts made by hand, in tests of programs."""


class Context(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Given to a program that has a parameter annotated so, at any place: ``ctx: Context = CONTEXT``.

    ``attempt`` counts from 1 and is never reset: with ``flow`` and ``task`` it makes a good idempotency key
    for what the program does elsewhere. ``last_progress`` is what an earlier attempt told last.
    ``round`` counts the rounds that the program asked for (``raise Again``): 0 in the first one.
    ``slot``, ``previous_slot`` and ``next_slot`` are moments in UTC of the schedule that fired the flow; None
    where none did, or there is none.
    """

    flow: str
    task: int
    attempt: int
    workflow: str
    task_seq: int
    program: str
    worker: str
    last_progress: Progress | None = None
    round: int = 0
    slot: datetime | None = None
    previous_slot: datetime | None = None
    next_slot: datetime | None = None

    def telling(self, tell: Callable[[Progress], None]) -> "Context":
        """Itself, with the function that takes what it tells. (No field: a context can be a result.)"""
        msgspec.structs.force_setattr(self, "_tell", tell)
        return self

    def progress(self, fraction: float | None = None, note: str = "") -> None:
        """Tells how far the attempt is; cheap, and from any thread. Operators see it with the next heartbeat.

        Raises:
            ProgramError: ``fraction`` is not between 0 and 1.
        """
        tell: Callable[[Progress], None] = vars(self).get("_tell", _tell_nobody)
        tell(Progress(_share(fraction), clean_text(_plain(note)[:MAX_NOTE_CHARACTERS], MAX_NOTE_CHARACTERS)))


CONTEXT = Context(flow="", task=0, attempt=1, workflow="", task_seq=0, program="", worker="")
"""The default of a program's context, ``ctx: Context = CONTEXT``: what a direct call gets, that of no flow.
It tells nobody. A worker gives the real one."""

context_at_work: ContextVar[Callable[[], Context] | None] = ContextVar("flower_context_at_work", default=None)
"""Makes the context of the attempt that this code runs for. Whoever runs attempts sets it for each, and takes
it away at the end: what it holds leads back to the attempt."""


def context() -> Context:
    """The context of the attempt that this code runs for, for helpers of programs; else ``CONTEXT``.

    It follows the attempt through ``await``, asyncio tasks and ``asyncio.to_thread``, but not into threads
    that the program starts by itself.
    """
    make = context_at_work.get()
    return CONTEXT if make is None else make()


def _plain(note: object) -> str:
    """The note as text; of a subclass of str the plain text, whatever its own methods do."""
    return str.__str__(note if isinstance(note, str) else str(note))


def _share(fraction: Any) -> float | None:
    """A share of the whole; sums of shares may end a little beyond it."""
    if fraction is None:
        return None
    is_number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
    if is_number and -_ROUNDING <= fraction <= 1 + _ROUNDING:
        return min(max(float(fraction), 0.0), 1.0)
    raise ProgramError(f"progress({str(fraction)[:100]!r}): give a share between 0 and 1, or None")
