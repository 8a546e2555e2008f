"""A schedule: when flows of a workflow begin by themselves, and with which parameters.

What its fields mean for slots is in ``slots.py`` and ``wall_clock.py``, for slots that nobody watched in
``catching_up.py``; what can be wrong with them in ``schedule_problems.py``.
"""

from functools import cached_property
from typing import Any, Literal, get_args

import msgspec

from flower_engine.schedules.timing import Timing, timing_of
from flower_engine.schedules.when import When

Overlap = Literal["allow", "skip", "queue_one", "queue", "cancel", "strict"]
CatchUp = Literal["latest", "all", "none"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
CATCH_UPS: tuple[CatchUp, ...] = get_args(CatchUp)


class Schedule(When, frozen=True, kw_only=True, omit_defaults=True, rename="camel", dict=True):
    """Times are milliseconds since the Unix epoch, durations seconds, days ``YYYY-MM-DD``.

    Exactly one of ``cron``, ``every_seconds`` and ``at_ms`` is set. Nothing is checked when it is made: a row
    that SQL wrote may hold anything, of any type. :func:`~.schedule_problems.problems` says what is wrong; a
    schedule with a problem has no slots. Its JSON (``msgspec.json.encode``, names in camelCase) is what Redis
    keeps.
    """

    name: str
    uid: str = ""
    task_id: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    overlap: Overlap = "skip"
    catch_up: CatchUp = "latest"
    window_seconds: float | None = None
    max_catch_up: int = 10
    jitter_seconds: float = 0
    calendar: str | None = None
    is_paused: bool = False
    reason: str | None = None
    pause_after_failures: int | None = None
    priority: int | None = None

    @cached_property
    def timing(self) -> Timing:
        """Its slots, made when they are first asked for."""
        return timing_of(self)
