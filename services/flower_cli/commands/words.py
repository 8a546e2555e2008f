"""Flows, tasks and errors in words, for a terminal or a file."""

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.text import Text

from flower_engine.flows.end_words import why_not_needed, why_not_taken
from flower_engine.flows.wait_words import in_words
from flower_engine.model.decisions.decision_tasks import condition_in_words
from flower_engine.model.values.noun_counts import counted
from flower_engine.projection.read.end_views import NotTaken
from flower_engine.projection.read.wait_views import WaitReason

COLOURS = {"Wait": "dim", "Running": "yellow", "Finish": "green", "Suspend": "red", "Ignore": "blue"}
_MARKS = {"Wait": "·", "Running": "▶", "Finish": "✔", "Suspend": "✘", "Ignore": "⤼"}
_PLAIN_MARKS = {"Wait": ".", "Running": ">", "Finish": "+", "Suspend": "x", "Ignore": "-"}


def is_unicode() -> bool:
    """Whether standard output can show more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def mark(status: str) -> str:
    """A sign for a status."""
    return (_MARKS if is_unicode() else _PLAIN_MARKS).get(status, "?")


def status_word(flow: dict[str, Any]) -> str:
    """The status of a flow: the API's word, but "Cancelled" where the tables say Ignore for that, and
    "Failed" where they say Suspend of one that has ended with tasks that were given up, "Ending" where only
    its cleanup goes on (if nothing of that is in Suspend)."""
    if flow["status"] == "Suspend" and flow.get("finishedTs"):
        return "Failed"
    if is_ending(flow) and flow["status"] in ("Wait", "Running"):
        return "Ending"
    return "Cancelled" if flow["status"] == "Ignore" and flow.get("cancelledTs") else str(flow["status"])


def is_ending(flow: dict[str, Any]) -> bool:
    """Whether all that is left of a flow is its cleanup."""
    return bool(flow.get("endingTs")) and not flow.get("finishedTs")


ENDING_CAUSES = {
    "cancel": "it was cancelled",
    "timeout": "it took too long",
    "again": "another round of it was asked for",
}


def round_of_parent(flow: dict[str, Any]) -> str:
    """Which round of its parent's task a child is, as words that follow another; "" for the first."""
    return f", round {flow['parentRound']}" if flow.get("parentRound") else ""


def end_of_task(task: dict[str, Any]) -> str:
    """How a task has ended, where its status alone does not say it, and when one that is held will be."""
    ended_as = task.get("endedAs")
    if ended_as == "notTaken" and task.get("notTaken"):
        return why_not_taken(msgspec.convert(task["notTaken"], NotTaken))
    if ended_as in ("passedOver", "cancelled") or (ended_as is None and task["status"] == "Ignore"):
        return f"{task['ignoreReason'] or ''} (by {task['ignoredBy'] or '?'})".strip()
    if ended_as == "unneeded":
        return why_not_needed(task.get("notNeededBy") or [])
    if ended_as == "vanished":
        return "its map was expanded anew"
    if ended_as == "givenUp":
        return "given up"
    if (earlier := task.get("takenFrom")) is not None:
        return f"taken over from task {earlier}, an earlier item that is the same"
    due = task.get("givesUpTs")
    return f"given up at {moment(due)} UTC unless somebody decides" if due else ""


def status_text(flow: dict[str, Any]) -> Text:
    """The same with its sign, in its colour."""
    return Text(f"{mark(flow['status'])} {status_word(flow)}", style=COLOURS.get(flow["status"], ""))


def why_it_waits(reason: dict[str, Any] | None) -> str:
    """A wait reason as the API gives it, in words."""
    if reason is None:
        return ""
    try:
        known = msgspec.convert(reason, WaitReason)
    except msgspec.ValidationError:  # of a newer API
        return str(reason.get("detail") or reason.get("reason", ""))
    return in_words(known)


def task_title(task: dict[str, Any]) -> str:
    """A task's number and name, or its program where it has none."""
    name, program = task.get("taskName"), task["program"]
    if task.get("itemOf") is not None:
        key = task.get("itemKey")
        program = f"{program}[{task['itemIndex'] if key is None else key}]"
    title = program if name in (None, program) else f"{name} ({program})"
    return f"{task['taskExecSeq']} {title}"


def task_number(text: str) -> int | str:
    """A task as people name it: a number, or else a name."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text


def tasks_in_words(tasks: Sequence[int]) -> str:
    """``task 3``, or ``tasks 3, 4``; of many the first 20."""
    shown = ", ".join(map(str, tasks[:20])) + (", ..." if len(tasks) > 20 else "")
    return f"task {shown}" if len(tasks) == 1 else f"tasks {shown}"


def branch(when: Sequence[Any]) -> str:
    """What the decision of a branch must say: ``task 3 is true``."""
    return f"task {when[0]} is {str(when[1]).lower()}"


def condition(task: dict[str, Any]) -> str:
    """The condition of a task that decides, as text; "": it is none."""
    return condition_in_words(task["program"], task["parameters"])


def items(task: dict[str, Any]) -> str:
    """How the items of a map stand; "": it has none."""
    found = task.get("items")
    if not found:
        return ""
    names = ("finished", "running", "waiting", "failed", "ignored")
    said = ", ".join(f"{found[name]} {name}" for name in names if found[name])
    return f"{counted(found['count'], 'item')}: {said}"


def why_line(task: dict[str, Any]) -> str:
    """Why a task waits, is held, or how it has ended, on a line with its name."""
    said = why_it_waits(task["waitReason"]) or end_of_task(task)
    if task["status"] == "Suspend":
        failed = f"it failed: {error_line(task['error'])}" if task["error"] else "it failed"
        held = "held until somebody reruns or ignores it, or cancels its flow"
        said = f"{'given up' if is_given_up(task) else held}; {failed}"
        if due := task.get("givesUpTs"):
            said += f"; given up at {moment(due)} UTC"
    return f"task {task_title(task)}: {said}"


def is_given_up(task: dict[str, Any]) -> bool:
    """Whether a task that failed holds nobody any more."""
    return task.get("endedAs") == "givenUp"


def clock(timestamp: str | None) -> str:
    """The time of day of an ISO 8601 timestamp, to the millisecond."""
    return timestamp[11:23].rstrip("Z+-") if timestamp else ""


def moment(timestamp: str | None) -> str:
    """Day and time of an ISO 8601 timestamp, to the second."""
    return timestamp[:19].replace("T", " ") if timestamp else ""


def counts(flow: dict[str, Any]) -> str:
    """How many tasks stand where."""
    names = ("finished", "running", "waiting", "suspended", "ignored")
    return ", ".join(f"{flow[name]} {name}" for name in names if flow[name])


def error_line(error: dict[str, Any] | None) -> str:
    """Type and the first line of the message."""
    if not error:
        return ""
    first, *rest = str(error["message"]).splitlines() or [""]
    return f"{error['type']}: {first}" + (" ..." if rest else "")
