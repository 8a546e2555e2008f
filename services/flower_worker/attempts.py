"""An attempt that this worker runs, from its claim to the answer to its outcome."""

import asyncio
from enum import Enum
from typing import Protocol

from flower_engine.log.working import Claim, Outcome


class Told(Enum):
    """Why a running attempt was told to stop."""

    NOTHING = "nothing"
    LOST = "lost"  # its lease is gone: another attempt may run already
    STOPPING = "stopping"  # the worker stops; the task is to be handed back


class Home(Protocol):
    """Where an attempt came from, and where its outcome goes."""

    def finish(self, attempt: "Attempt", outcome: Outcome | None) -> None:
        """Takes the outcome; None drops the attempt without one."""
        ...


class Attempt:
    """One claim being run; one for each task, so it is kept small."""

    __slots__ = ("claim", "heavy", "home", "outcome", "task", "told")

    def __init__(self, claim: Claim, home: Home) -> None:
        self.claim = claim
        self.home = home
        self.heavy = False  # it runs in a process
        self.told = Told.NOTHING
        self.task: asyncio.Task[None] | None = None  # None: it runs on a thread, or has not begun
        self.outcome: Outcome | None = None

    def __str__(self) -> str:
        return f"flow {self.claim.flow} task {self.claim.task} attempt {self.claim.attempt}"
