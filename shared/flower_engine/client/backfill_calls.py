"""What can be asked of the API about backfills, each as a call without I/O (see ``api_calls.py``)."""

import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from flower_engine.client.api_calls import Patience, Pause, Request, Steps, decoded, sent
from flower_engine.client.api_location import path_part
from flower_engine.client.client_errors import BackfillTimeoutError
from flower_engine.client.flow_queries import time_text
from flower_engine.client.flow_values import Backfill, BackfillSlot
from flower_engine.client.wanted_flows import encoded

Verb = Literal["pause", "resume", "cancel"]
Which = Literal["missed", "failed", "all"]
_LOOK_SECONDS = 0.5


class _Backfills(msgspec.Struct):
    backfills: list[Backfill]


class _Slots(msgspec.Struct):
    slots: list[BackfillSlot]
    next: str | None = None


def body_of(first: datetime | str, last: datetime | str, which: Which, **more: Any) -> dict[str, Any]:
    """The body that makes a backfill."""
    given = {"from": time_text(first), "to": time_text(last), "which": which, **more}
    return {name: value for name, value in given.items() if value is not None}


def make(schedule: str, body: Mapping[str, Any], patience: Patience) -> Steps[Backfill]:
    """Makes a backfill, once however often it is sent.

    Raises:
        ScheduleError: the range or another thing makes no sense; names it.
    """
    request = Request("POST", _of(schedule), body=encoded({"id": str(uuid.uuid4()), **body}))
    return decoded((yield from sent(request, patience)), Backfill)


def of_schedule(schedule: str, patience: Patience) -> Steps[list[Backfill]]:
    """Its newest 1,000, the newest first."""
    request = Request("GET", _of(schedule), {"limit": 1_000})
    return decoded((yield from sent(request, patience)), _Backfills).backfills


def get(backfill: str, patience: Patience) -> Steps[Backfill]:
    """How it stands; raises UnknownBackfillError."""
    return decoded((yield from sent(Request("GET", _path(backfill)), patience)), Backfill)


def act(backfill: str, verb: Verb, reason: str, patience: Patience) -> Steps[Backfill]:
    """Pauses, resumes or cancels it; raises RefusedError where it is over."""
    request = Request("POST", f"{_path(backfill)}/{verb}", body=encoded({"reason": reason}))
    return decoded((yield from sent(request, patience)), Backfill)


def slots_page(
    backfill: str, cursor: str | None, patience: Patience
) -> Steps[tuple[list[BackfillSlot], str | None]]:
    """A page of its slots, the oldest first, and the cursor of the next."""
    request = Request("GET", f"{_path(backfill)}/slots", {"cursor": cursor, "limit": 1_000})
    found = decoded((yield from sent(request, patience)), _Slots)
    return found.slots, found.next


def wait(backfill: str, timeout: float | None, retry_seconds: float | None) -> Steps[Backfill]:
    """The backfill once it is over.

    Raises:
        BackfillTimeoutError: so many seconds are over before; it says how far it is.
    """
    begun = time.monotonic()
    while True:
        found = yield from get(backfill, Patience(retry_seconds))
        if found.is_over:
            return found
        left = None if timeout is None else begun + timeout - time.monotonic()
        if left is not None and left <= 0:
            how = f"it is {found.state}; of {found.total} slots {found.waiting} wait, and {found.running} run"
            raise BackfillTimeoutError(backfill, timeout or 0, how)
        yield Pause(_LOOK_SECONDS if left is None else min(_LOOK_SECONDS, left))


def _of(schedule: str) -> str:
    return f"/schedules/{path_part(schedule)}/backfills"


def _path(backfill: str) -> str:
    return f"/backfills/{path_part(backfill)}"
