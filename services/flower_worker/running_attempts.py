"""An attempt that this worker runs, from its claim to the answer to its outcome."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

import msgspec

from flower_engine.programs.context import Progress
from flower_engine.programs.signature import Signature
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.transitions.worker_transitions import Claim, Outcome
from flower_worker.other_versions import Fit
from flower_worker.secret_values import Mask
from flower_worker.task_logs.attempt_log import AttemptLog

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

    def stands(self, attempt: "Attempt") -> None:
        """The attempt waits for a store of blobs: the next heartbeat says so, and its timer stands still."""
        ...

    async def read_kept(self, claim: Claim, tasks: Sequence[int]) -> dict[int, bytes] | None:
        """The results of these tasks of its flow, as ``read_inputs`` gives them."""
        ...

    async def fit(self, claim: Claim, program: str, own: Signature, parameters: Mapping[str, Any]) -> Fit:
        """Which live versions of its program may take the task, of which this one refuses the parameters."""
        ...


class Transfer:
    """What an attempt brings from or to a store of blobs, and for how long: its timer stands still meanwhile.

    Written where the event loop runs, or by a program's thread, and read by the heartbeat's thread.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self.what = ""  # in words, for operators; "" while nothing is under way
        self._lock = threading.Lock()
        self._since: float | None = None
        self._untold_seconds = 0.0

    def say(self, what: str) -> None:
        """This is under way now; "": nothing any more."""
        with self._lock:
            self._count()
            self.what = what
            self._since = self._clock.monotonic() if what else None

    def take_ms(self) -> int:
        """How long its timer is to stand still beyond what was taken before."""
        with self._lock:
            self._count()
            taken_ms = int(self._untold_seconds * 1000)
            self._untold_seconds -= taken_ms / 1000
            return taken_ms

    def give_back(self, taken_ms: int) -> None:
        """It could not be told."""
        with self._lock:
            self._untold_seconds += taken_ms / 1000

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way, and nothing left to tell."""
        return not self.what and self._untold_seconds < 0.001

    def _count(self) -> None:
        if self._since is not None:
            now = self._clock.monotonic()
            self._untold_seconds += now - self._since
            self._since = now


class Attempt:
    """One claim being run; one for each task, so it is kept small."""

    __slots__ = (
        *(
            "claim",
            "heavy",
            "is_full",
            "kept",
            "log",
            "mask",
            "origin",
            "outcome",
            "progress",
            "task",
            "told",
        ),
        *("transfer", "untold"),
    )

    def __init__(self, claim: Claim, origin: Origin) -> None:
        self.claim = claim
        self.origin = origin
        self.heavy = False  # it runs in a process
        self.told = Told.NOTHING
        self.task: asyncio.Task[None] | None = None  # None: it runs on a thread, or has not begun
        self.outcome: Outcome | None = None
        self.progress: Progress | None = None  # the last that the program told
        self.untold = False  # whether it waits to be logged; set from any thread
        self.kept: Mapping[bytes, bytes] | None = None  # results that came with its claim and others
        self.is_full = False  # Redis keeps no more of results: they go to the store of blobs
        self.mask: Mask | None = None  # hides its secrets
        self.log: AttemptLog | None = None  # what it writes goes there, where that is kept
        self.transfer: Transfer | None = None  # made with the first one

    def tell(self, progress: Progress) -> None:
        """Takes what the program tells of its progress, for the next heartbeat; from any thread."""
        self.progress = progress
        self.untold = True

    def take_untold(self) -> bytes:
        """The JSON of progress that is not logged yet, or b""; whoever takes it has to log it."""
        if not self.untold:
            return b""
        self.untold = False  # first: what is told from here on waits for the next time
        told = _encode(self.progress)
        return told if self.mask is None else self.mask.json(told)

    def say_transfer(self, what: str) -> None:
        """What it brings from or to a store of blobs now; "": nothing (any more)."""
        if self.transfer is None:
            self.transfer = Transfer()
        self.transfer.say(what)
        self.origin.stands(self)

    def __str__(self) -> str:
        return str(self.claim)
