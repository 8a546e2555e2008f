"""Flows, tasks and errors in words, for a terminal or a file."""

import sys
from typing import Any

from rich.text import Text

from flower_cli.noun_counts import are, counted

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
    """The status of a flow: the API's word, but "Cancelled" where the tables say Ignore for that."""
    return "Cancelled" if flow["status"] == "Ignore" and flow.get("cancelledTs") else str(flow["status"])


def status_text(flow: dict[str, Any]) -> Text:
    """The same with its sign, in its colour."""
    return Text(f"{mark(flow['status'])} {status_word(flow)}", style=COLOURS.get(flow["status"], ""))


def why_it_waits(reason: dict[str, Any] | None) -> str:
    """A wait reason as the API gives it, in words."""
    match reason:
        case None:
            return ""
        case {"reason": "dependencies", "dependsOn": tasks}:
            return "waits for " + ", ".join(map(str, tasks))
        case {"reason": "retry", "dueTs": due}:
            return f"retry at {clock(due)}"
        case {"reason": "delayed", "untilTs": until}:
            return f"delayed until {until[:19].replace('T', ' ')} UTC"
        case {"reason": "paused", "by": by}:
            return f"the flow is paused by {by}"
        case {"reason": "ready"}:
            return "ready, waits for a free slot"
        case {"reason": "cannotStart", "program": program, "worker": worker, "detail": detail}:
            return f"no live worker can start program {program}; {worker} tries again: {detail}"
        case {"detail": detail}:
            return str(detail)
        case _:
            return _stopped_by(reason)


def why_line(task: dict[str, Any]) -> str:
    """Why a task waits, on a line with its name."""
    return f"task {task['taskExecSeq']} {task['program']}: {why_it_waits(task['waitReason'])}"


def _stopped_by(reason: dict[str, Any]) -> str:
    """A wait reason of flow control, in words."""
    match reason:
        case {"reason": "scopePaused", "scope": scope, "name": name}:
            who = f" by {reason['by']}" if reason.get("by") else ""
            because = f": {reason['because']}" if reason.get("because") else ""
            return f"{scope_in_words(scope, name)} is paused{who}{because}"
        case {"reason": "limit", "scope": scope, "name": name, "key": key, "running": running, "most": most}:
            of = scope_in_words(scope, name) + (f" ({key})" if key else "")
            flows = reason.get("heldBy", [])
            held = ", by " + ", ".join(flows[:3]) + (", ..." if len(flows) > 3 else "") if flows else ""
            return f"limit of {of}: {running} of {counted(most, 'unit')} {are(most)} in use{held}"
        case {"reason": "rate", "scope": scope, "name": name, "rate": rate, "untilTs": until}:
            of, seconds = scope_in_words(scope, name), reason["periodSeconds"]
            have = "has" if rate == 1 else "have"
            return f"rate of {of}: {rate} {have} started in {seconds:g} s, the next may at {clock(until)}"
        case {"reason": "behind", "tasks": tasks, "atLeast": at_least}:
            least = "at least " if at_least else ""
            return f"behind {least}{counted(tasks, 'task')} of higher or equal priority"
        case {"reason": "noPlace", "underWay": under_way, "most": most, "ahead": ahead}:
            before = f"{ahead} wait{'s' if ahead == 1 else ''} before it"
            return (
                f"waits for a place: {under_way} of {counted(most, 'flow')} {are(most)} under way, {before}"
            )
        case {"reason": "noWorker", "queue": queue, "isQueueServed": False}:
            return f"no live worker serves queue {queue}"
        case {"reason": "noWorker", "program": program, "queue": queue}:
            return f"no live worker serves program {program} in queue {queue}"
        case _:
            return str(reason.get("reason", ""))


def scope_in_words(scope: str, name: str) -> str:
    """What a limit or pause is about."""
    return f"{scope} {name}" if name else "everything"


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
