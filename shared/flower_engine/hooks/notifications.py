"""Notifications: what a hook tells, as JSON, under an id that is the same for the same thing."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from flower_engine.hooks.occasions import Moment
from flower_engine.model.values.times import nearest

_EPOCH = datetime.fromtimestamp(0, UTC)
REMINDERS = ("approval.reminder", "approval.escalated")
_MOST_MESSAGE = 4_096  # characters of an error's message


class FlowFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a moment beside its event. ``task``: the fields that name a task."""

    workflow: str | None = None
    registered_ms: int | None = None
    schedule: str | None = None  # its name, where it has one still; else the uid
    slot_ms: int | None = None
    task: dict[str, Any] | None = None


def notification_id(hook: str, moment: Moment) -> str:
    """The id of what the hook tells of this moment: the same, however often that is worked out."""
    if moment.occasion == "slot.missed":
        of = f"{moment.schedule}\0{moment.slot}"
    elif moment.occasion == "flow.late":  # a flow is late once, whatever becomes of it
        of = moment.flow
    elif moment.occasion in REMINDERS:  # which are no event of the flow
        of = f"{moment.flow}\0{moment.task}\0{moment.attempt}\0{moment.reminder}"
    else:
        of = f"{moment.flow}\0{moment.version}"
    return message_id(f"{hook}\0{moment.occasion}\0{of}")


def message_id(text: str) -> str:
    """An id made of a text."""
    return f"msg_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def body_of(hook: str, number: str, moment: Moment, facts: FlowFacts) -> bytes:
    """The body, whole: it is kept and sent as it is, so that it is the same each time."""
    data: dict[str, Any] = {}
    if moment.flow:
        data |= {"taskFlowId": moment.flow, "taskId": facts.workflow, "flowVersion": moment.version or None}
        data["registeredTs"] = _time(facts.registered_ms)
    if moment.schedule or facts.schedule:
        data["schedule"] = facts.schedule or moment.schedule
        data["slot"] = _time(facts.slot_ms or moment.slot or None)
    if moment.occasion == "slot.missed":
        data |= {"taskId": facts.workflow, "until": _time(moment.until), "count": moment.count}
    if facts.task is not None:
        data["task"] = facts.task
    if moment.attempt:
        data |= {"attempt": moment.attempt, "until": _time(moment.until or None)}
    if moment.reminder:
        data["reminder"] = moment.reminder
    if moment.error is not None:
        data["error"] = {"type": moment.error.type, "message": moment.error.message[:_MOST_MESSAGE]}
    for name, said in (("by", moment.by), ("reason", moment.reason)):
        if said:
            data[name] = said
    return encode_body(hook, number, moment.occasion, moment.at, data)


def encode_body(hook: str, number: str, kind: str, at_ms: int, data: dict[str, Any]) -> bytes:
    """The JSON of a notification."""
    return msgspec.json.encode(
        {"id": number, "type": kind, "timestamp": _time(at_ms), "hook": hook, "data": data}
    )


def _time(ms: int | None) -> str | None:
    if ms is None:
        return None
    time = _EPOCH + timedelta(milliseconds=nearest(ms))
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
