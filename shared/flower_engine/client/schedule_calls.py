"""What can be asked of the API about schedules, each as a call without I/O (see ``api_calls.py``)."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from flower_engine.client.api_calls import Patience, Request, Steps, decoded, sent
from flower_engine.client.api_location import path_part
from flower_engine.client.flow_values import PreviewedSlot, Schedule, ScheduleSlot, SlotStory
from flower_engine.client.wanted_flows import encoded
from flower_engine.errors import UnknownScheduleError


class _Page(msgspec.Struct):
    schedules: list[Schedule]
    next: str | None = None


class _Slots(msgspec.Struct):
    slots: list[ScheduleSlot]
    next: str | None = None


class _Preview(msgspec.Struct):
    slots: list[PreviewedSlot]


class _Registered(msgspec.Struct, rename="camel"):
    task_flow_id: str
    duplicate: bool = False


def page(cursor: str | None, patience: Patience) -> Steps[tuple[list[Schedule], str | None]]:
    """A page of schedules by name, and the cursor of the next."""
    found = decoded((yield from sent(Request("GET", "/schedules", {"cursor": cursor}), patience)), _Page)
    return found.schedules, found.next


def get(name: str, patience: Patience) -> Steps[Schedule]:
    """The schedule; raises UnknownScheduleError."""
    return decoded((yield from sent(Request("GET", _path(name)), patience)), Schedule)


def put(document: Mapping[str, Any], patience: Patience) -> Steps[Schedule]:
    """Sets the schedule, or replaces it as a whole.

    Raises:
        ScheduleError: it cannot be so; names every field.
    """
    request = Request("PUT", _path(str(document["schedule"])), body=encoded(document))
    return decoded((yield from sent(request, patience)), Schedule)


def delete(name: str, patience: Patience) -> Steps[bool]:
    """Takes it away, not its flows; False if there was none (any more)."""
    try:
        yield from sent(Request("DELETE", _path(name)), patience)
    except UnknownScheduleError:
        return False
    return True


def pause(name: str, reason: str, patience: Patience) -> Steps[Schedule]:
    """Its slots are skipped until it is resumed."""
    request = Request("POST", f"{_path(name)}/pause", body=encoded({"reason": reason}))
    return decoded((yield from sent(request, patience)), Schedule)


def resume(name: str, patience: Patience) -> Steps[Schedule]:
    """It goes on from its next slot; raises RefusedError where it is not paused."""
    return decoded(
        (yield from sent(Request("POST", f"{_path(name)}/resume", body=b"{}"), patience)), Schedule
    )


def trigger(name: str, slot: str | None, patience: Patience) -> Steps[str]:
    """Starts a flow now, once however often it is sent; its id."""
    body = {} if slot is None else {"slot": slot}
    key = f"client-{uuid.uuid4()}"
    request = Request("POST", f"{_path(name)}/trigger", body=encoded(body), key=key)
    return decoded((yield from sent(request, patience)), _Registered).task_flow_id


def preview(
    schedule: str | Mapping[str, Any], query: Mapping[str, Any], patience: Patience
) -> Steps[list[PreviewedSlot]]:
    """The next slots of a schedule that is set, or of one that need not be."""
    if isinstance(schedule, str):
        request = Request("GET", f"{_path(schedule)}/preview", query)
    else:
        document = {name: value for name, value in schedule.items() if name != "schedule"}
        request = Request("POST", "/schedule-preview", query, body=encoded(document))
    return decoded((yield from sent(request, patience)), _Preview).slots


def slot(name: str, at: str, patience: Patience) -> Steps[SlotStory]:
    """What became of a slot, and why."""
    request = Request("GET", f"{_path(name)}/slots/{path_part(at)}")
    return decoded((yield from sent(request, patience)), SlotStory)


def slots_page(
    name: str, query: Mapping[str, Any], patience: Patience
) -> Steps[tuple[list[ScheduleSlot], str | None]]:
    """A page of what became of its slots, the newest first, and the cursor of the next."""
    found = decoded((yield from sent(Request("GET", f"{_path(name)}/slots", query), patience)), _Slots)
    return found.slots, found.next


def _path(name: str) -> str:
    return f"/schedules/{path_part(name)}"
