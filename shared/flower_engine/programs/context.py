"""What a running program may know about its attempt, and tell of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from flower_engine.programs.progress import Progress, make_progress


def _to_nobody(_progress: Progress) -> None:
    """Where the progress of a context goes that a test has made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Injected into a program that has a parameter annotated ``Context``.

    ``attempt`` counts from 1 and is never reset: with ``flow`` and ``task`` it makes a good idempotency key
    for what the program does elsewhere. ``last_progress`` is what an earlier attempt said last, so that this
    one may go on from there.
    """

    flow: str
    task: int
    attempt: int
    workflow: str
    task_seq: int
    program: str
    worker: str
    last_progress: Progress | None = None
    _tell: Callable[[Progress], None] = field(default=_to_nobody, repr=False, compare=False)

    def progress(self, fraction: float | None = None, note: str = "") -> None:
        """Says how far this attempt is: ``context.progress(0.4, "rows read")``.

        Call it as often as you like, from any thread: the newest goes out with the next heartbeat. It
        returns at once. A note longer than 1,000 characters is cut.

        Raises:
            ProgramError: the fraction is not a number from 0 to 1.
        """
        self._tell(make_progress(fraction, note))
