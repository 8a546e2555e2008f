"""An attempt that this worker runs, from its claim to the answer to its outcome."""

import asyncio
from enum import Enum
from typing import Protocol

import msgspec

from flower_engine.programs.context import Progress
from flower_engine.transitions.worker_transitions import Claim, Outcome

_encode = msgspec.json.Encoder().encode


class Told(Enum):
    """Why a running attempt was told to stop."""

    NOTHING = "nothing"
    GONE = "gone"  # its lease ended: it lapsed, took too long, or its flow was cancelled
    STOPPING = "stopping"  # the worker stops; the task is to be handed back


class Origin(Protocol):
    """Where an attempt came from, and where its outcome goes."""

    def finish(self, attempt: "Attempt", outcome: Outcome | None) -> None:
        """Takes the outcome; None drops the attempt without one."""
        ...


class Attempt:
    """One claim being run; one for each task, so it is kept small."""

    __slots__ = ("claim", "heavy", "origin", "outcome", "progress", "task", "told", "untold")

    def __init__(self, claim: Claim, origin: Origin) -> None:
        self.claim = claim
        self.origin = origin
        self.heavy = False  # it runs in a process
        self.told = Told.NOTHING
        self.task: asyncio.Task[None] | None = None  # None: it runs on a thread, or has not begun
        self.outcome: Outcome | None = None
        self.progress: Progress | None = None  # the last that the program told
        self.untold = False  # whether it waits to be logged; set from any thread

    def tell(self, progress: Progress) -> None:
        """Takes what the program tells of its progress, for the next heartbeat; from any thread."""
        self.progress = progress
        self.untold = True

    def take_untold(self) -> bytes:
        """The JSON of progress that is not logged yet, or b""; whoever takes it has to log it."""
        if not self.untold:
            return b""
        self.untold = False  # first: what is told from here on waits for the next time
        return _encode(self.progress)

    def __str__(self) -> str:
        return str(self.claim)
