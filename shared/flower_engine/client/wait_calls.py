"""What can be asked of the API about signals and approvals, each as a call without I/O (see
``api_calls.py``)."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from flower_engine.client.api_calls import Patience, Request, Steps, decoded, sent
from flower_engine.client.api_location import path_part
from flower_engine.client.flow_values import Operated
from flower_engine.client.wait_values import AnswerLink, Approval, KeptSignal, Signalled, SignalledAll
from flower_engine.client.wanted_flows import encoded
from flower_engine.errors import UnknownSignalError


class _Page(msgspec.Struct):
    approvals: list[Approval]
    next: str | None = None


class _Kept(msgspec.Struct):
    signals: list[KeptSignal]
    next: str | None = None


def signal_body(
    name: str,
    payload: Any,
    key: str | int,
    identity: str | None,
    *,
    first: bool = False,
    keep_seconds: float | None = None,
) -> dict[str, Any]:
    """The body of a signal. Without an id it gets one of its own, so that it counts once however often it is
    sent."""
    body: dict[str, Any] = {
        "name": name,
        "payload": payload,
        "key": str(key),
        "id": identity or f"client-{uuid.uuid4()}",
    }
    body |= {"first": True} if first else {}
    return body | ({} if keep_seconds is None else {"keepSeconds": keep_seconds})


def signal(flow: str, body: Mapping[str, Any], patience: Patience) -> Steps[Signalled]:
    """A signal to one flow.

    Raises:
        UnknownFlowError, FlowEndedError: there is no such flow, or it has ended.
        TooManySignalsError: it keeps as many as it may.
        ParametersError: the payload does not fit the type of a task that may take it.
    """
    path = f"/flows/{path_part(flow)}/signals"
    return decoded((yield from sent(Request("POST", path, body=encoded(body)), patience)), Signalled)


def signal_all(body: Mapping[str, Any], patience: Patience) -> Steps[SignalledAll]:
    """A signal to all flows in which a task awaits it, or to the first.

    Raises:
        ParametersError: the payload fits none of them.
    """
    return decoded((yield from sent(Request("POST", "/signals", body=encoded(body)), patience)), SignalledAll)


def kept_page(cursor: str | None, patience: Patience) -> Steps[tuple[list[KeptSignal], str | None]]:
    """A page of signals that are kept, the oldest first, and the cursor of the next."""
    page = decoded((yield from sent(Request("GET", "/signals", {"cursor": cursor}), patience)), _Kept)
    return page.signals, page.next


def delete_kept(identity: str, patience: Patience) -> Steps[bool]:
    """Keeps the signal of this id no more; False if it was not kept (any more)."""
    try:
        yield from sent(Request("DELETE", f"/signals/{path_part(identity)}"), patience)
    except UnknownSignalError:
        return False
    return True


def answer_body(given: Any, attempt: int | None, version: int | None) -> dict[str, Any]:
    """The body of an answer; True and False are yes and no."""
    seen = {"attempt": attempt, "version": version}
    plain = {"approved": given} if isinstance(given, bool) else given
    return {"answer": plain, **{name: value for name, value in seen.items() if value is not None}}


def answer(flow: str, task: int | str, body: Mapping[str, Any], patience: Patience) -> Steps[Operated]:
    """An answer to an approval.

    Raises:
        NotAskedError: others are asked.
        RefusedError: nobody is asked just now, or it was asked anew, or this name has answered.
        ParametersError: it is not what the form wants.
    """
    key = f"client-{uuid.uuid4()}"
    asked = Request("POST", f"{_task(flow, task)}/answer", body=encoded(body), key=key)
    return decoded((yield from sent(asked, patience)), Operated)


def approval(flow: str, task: int | str, patience: Patience) -> Steps[Approval]:
    """One approval with what it shows."""
    return decoded((yield from sent(Request("GET", f"{_task(flow, task)}/approval"), patience)), Approval)


def link(flow: str, task: int | str, name: str, seconds: float, patience: Patience) -> Steps[AnswerLink]:
    """A link by which this name answers."""
    body = encoded({"for": name, "expiresSeconds": seconds})
    return decoded(
        (yield from sent(Request("POST", f"{_task(flow, task)}/links", body=body), patience)), AnswerLink
    )


def approvals_page(query: Mapping[str, Any], patience: Patience) -> Steps[tuple[list[Approval], str | None]]:
    """A page of approvals that wait for an answer, and the cursor of the next."""
    page = decoded((yield from sent(Request("GET", "/approvals", query), patience)), _Page)
    return page.approvals, page.next


def _task(flow: str, task: int | str) -> str:
    return f"/flows/{path_part(flow)}/tasks/{path_part(str(task))}"
