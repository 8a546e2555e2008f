"""What can be asked of the API about flows, each as a call without I/O (see ``api_calls.py``)."""

import hashlib
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from flower_engine.blobs.store import API
from flower_engine.client.api_calls import (
    RETRY_SECONDS,
    Answer,
    Patience,
    Pause,
    Request,
    Steps,
    decoded,
    sent,
)
from flower_engine.client.api_location import path_part
from flower_engine.client.client_errors import (
    ApiRefusedError,
    ApiUnavailableError,
    FlowCancelledError,
    FlowFailedError,
    FlowTimeoutError,
    NotRegisteredError,
    ResultError,
    error_of,
)
from flower_engine.client.flow_values import Event, Flow, FlowEntry, LogLine, Operated, Task, Worker
from flower_engine.client.wanted_flows import Registration, encoded
from flower_engine.errors import FlowerError, UnknownWorkflowError
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.result_json import MAX_STORED_RESULT_BYTES
from flower_engine.programs.parameter_conversion import converter
from flower_engine.traces.user_context import current_traceparent

_WAIT_SECONDS = 20.0  # proxies end what takes a minute
_FIRST_LOOK_SECONDS = 0.05
_LONGEST_LOOK_SECONDS = 2.0
_SHARE = 5  # a flow with very many tasks takes long to tell: no more than a fifth of the time goes into it
_MOST_AT_ONCE = 1_000
_MOST_BYTES_AT_ONCE = 4 << 20
_CODES_AGAIN = (429, 502, 503, 504)


class Registered(NamedTuple):
    """A flow that is registered. ``is_duplicate``: nothing new was started, as its key was known or the
    workflow's limit says skip."""

    flow: str
    is_duplicate: bool


class _Registered(msgspec.Struct, rename="camel"):
    task_flow_id: str
    duplicate: bool = False


class _Entry(msgspec.Struct, rename="camel"):
    code: int
    task_flow_id: str = ""
    duplicate: bool = False
    description: str = ""
    type: str = ""


class _Page(msgspec.Struct):
    next: str | None = None
    flows: list[FlowEntry] = []
    events: list[Event] = []
    lines: list[LogLine] = []


class _Workers(msgspec.Struct):
    workers: list[Worker]


class _Forked(msgspec.Struct, rename="camel"):
    task_flow_id: str


def register(wanted: Registration[Any], patience: Patience) -> Steps[Registered]:
    """Registers one flow.

    Raises:
        UnknownWorkflowError: there is no such workflow; the message may name the nearest.
        ParametersError, DefinitionError, KeyConflictError, FlowLimitError: it cannot be registered.
        ApiUnavailableError, AuthError: nobody took it.
    """
    path = f"/register/{path_part(wanted.workflow)}"
    try:
        asked = Request("POST", path, body=encoded(wanted.body()), traceparent=current_traceparent())
        answer = yield from sent(asked, patience)
    except UnknownWorkflowError:
        # The answer is as the first Flower had it; this one names what is near.
        with suppress(ApiUnavailableError):
            yield from sent(Request("GET", f"/workflows/{path_part(wanted.workflow)}"), Patience(0))
        raise
    found = decoded(answer, _Registered)
    return Registered(found.task_flow_id, found.duplicate and wanted.has_own_key)


def register_many(
    wanted: Sequence[Registration[Any]], patience: Patience
) -> Steps[tuple[dict[int, Registered], dict[int, FlowerError]]]:
    """Registers many flows, up to 1,000 a request; what could not be taken at first is sent again.

    Returns:
        What is registered, and what was refused, each by its place.
    """
    registered: dict[int, Registered] = {}
    refused: dict[int, FlowerError] = {}
    bodies = [encoded({**one.body(), "taskId": one.workflow}) for one in wanted]
    left, caller = list(range(len(wanted))), current_traceparent()
    while left:
        unsettled: dict[int, FlowerError] = {}
        for chunk in _chunks(left, bodies):
            body = b"[" + b",".join(bodies[place] for place in chunk) + b"]"
            asked = Request("POST", "/register", body=body, traceparent=caller)
            answer = yield from sent(asked, patience)
            for place, entry in zip(chunk, decoded(answer, list[_Entry]), strict=True):
                if entry.code == 200:
                    is_duplicate = entry.duplicate and wanted[place].has_own_key
                    registered[place] = Registered(entry.task_flow_id, is_duplicate)
                else:
                    group = unsettled if entry.code in _CODES_AGAIN else refused
                    group[place] = _refusal(entry, wanted[place])
        left = sorted(unsettled)
        if left and patience.left < _LONGEST_LOOK_SECONDS:
            return registered, refused | unsettled
        if left:
            yield Pause(_LONGEST_LOOK_SECONDS)
    return registered, refused


def not_registered(errors: Mapping[int, FlowerError], handles: Mapping[int, Any]) -> NotRegisteredError:
    """The error for registrations that were refused, in their order."""
    return NotRegisteredError(dict(sorted(errors.items())), handles)


def show(flow: str, patience: Patience, at_least: int = 0) -> Steps[Flow]:
    """The flow with its tasks, as it stands now. ``at_least``: the version after the last operation of
    whoever asks; Postgres may lag behind it, and is waited for for a moment. ``is_behind`` of the flow says
    whether that was in vain.

    Raises:
        UnknownFlowError: there is no such flow.
    """
    return (yield from _looked(flow, patience, {"atLeast": at_least or None}))


def moved(flow: str, patience: Patience, behind: int, seconds: float) -> Steps[Flow]:
    """The flow as soon as it is of a later version than ``behind``, or the seconds are over."""
    return (yield from _looked(flow, patience, {"atLeast": behind + 1, "until": "version"}, seconds))


def _looked(flow: str, patience: Patience, query: Mapping[str, Any], waits: float = 0.0) -> Steps[Flow]:
    answer = yield from sent(Request("GET", _path(flow), query, waits=waits), patience)
    return decoded(answer, Flow)


def wait(
    flow: str, timeout: float | None, retry_seconds: float = RETRY_SECONDS, at_least: int = 0
) -> Steps[Flow]:
    """The flow once nothing more of it happens by itself: it ended, or stands still because tasks failed.

    What is shown may lag behind an operation that was just answered: ``at_least`` is the version after
    that, and an end before it does not count. The API answers when the flow is over; where it keeps nobody
    waiting, the flow is looked at with growing pauses. An API that is away is borne with for
    ``retry_seconds`` each time.

    Raises:
        FlowTimeoutError: ``timeout`` seconds are over before.
    """
    over = Patience(timeout)
    pause_seconds, version = _FIRST_LOOK_SECONDS, 0
    seen: Flow | None = None
    while True:
        began, left_seconds = time.monotonic(), max(over.left, 0)
        asked_seconds = min(_WAIT_SECONDS, left_seconds)
        try:
            patience = Patience(min(retry_seconds, left_seconds))
            seen = yield from _looked(flow, patience, {"atLeast": at_least or None}, asked_seconds)
        except ApiUnavailableError as error:
            if retry_seconds <= left_seconds:
                raise
            raise FlowTimeoutError(flow, timeout or 0, seen.counts if seen else str(error)) from error
        if seen.is_over and seen.version >= at_least:
            return seen
        if over.left <= 0:
            raise FlowTimeoutError(flow, timeout or 0, f"{seen.word}, {seen.why_it_waits}")
        cost_seconds = time.monotonic() - began
        if cost_seconds >= asked_seconds / 2:
            continue  # it was waited for there
        has_moved, version = seen.version != version, seen.version
        pause_seconds = _FIRST_LOOK_SECONDS if has_moved else min(pause_seconds * 1.5, _LONGEST_LOOK_SECONDS)
        yield Pause(max(min(pause_seconds, over.left), min(_SHARE * cost_seconds, over.left)))


def result(
    flow: str,
    result_type: Any,
    timeout: float | None,
    retry_seconds: float = RETRY_SECONDS,
    at_least: int = 0,
) -> Steps[Any]:
    """What the flow's workflow returns, as its type, once it has finished.

    Raises:
        FlowFailedError: a task failed for good.
        FlowCancelledError: it was cancelled.
        FlowTimeoutError: the time was over before.
        ResultError: it returns nothing, though it should, or the result does not convert.
    """
    ended = yield from wait(flow, timeout, retry_seconds, at_least)
    if ended.suspended:
        raise FlowFailedError(ended.id, ended.workflow, ended.failed)
    if ended.word == "Cancelled":
        raise FlowCancelledError(ended.id, ended.workflow, ended.cancelled_by or "")
    return converted((yield from whole(ended, Patience(retry_seconds))), result_type)


def whole(flow: Flow, patience: Patience) -> Steps[Flow]:
    """The flow with its result, which is fetched if it is too large to be told with the flow.

    Raises:
        ResultError: it cannot be had through the API, or is not there any more.
    """
    if flow.result_blob is None:
        return flow
    value = yield from _read(flow.id, flow.result_blob, patience)
    return msgspec.structs.replace(flow, result=value, result_blob=None)


def task_result(
    flow: str, task: int | str, result_type: Any, patience: Patience, at_least: int = 0
) -> Steps[Any]:
    """What a task returned, or what stands in for that, as this type; wherever it lies.

    Raises:
        UnknownFlowError, UnknownTaskError: there is no such task.
        ResultError: it has returned nothing (yet), or not what converts to the type; or its result cannot be
            had through the API.
    """
    path = f"{_path(flow)}/tasks/{path_part(str(task))}"
    found = decoded((yield from sent(Request("GET", path, {"atLeast": at_least or None}), patience)), Task)
    what = f"task {found.task_exec_seq} ({found.name})"
    if found.status != "Finish" and not found.has_stand_in:
        raise ResultError(flow, f"{what} is {found.status}, and has none")
    if found.blob is None:
        return _as_type(flow, found.result, result_type)
    return _as_type(flow, (yield from _read(flow, found.blob, patience)), result_type)


def _read(flow: str, blob: BlobRef, patience: Patience) -> Steps[Any]:
    """The JSON in a blob of the API's store."""
    what = f"it is a blob of {blob.bytes} bytes, {blob.sha256}"
    if blob.store != API:
        raise ResultError(flow, f"{what}, in {blob.store}: read it there, the API does not give it")
    if blob.bytes > MAX_STORED_RESULT_BYTES:
        most = f"results have at most {MAX_STORED_RESULT_BYTES:,} bytes"
        raise ResultError(flow, f"{what}, and {most}; read it as GET /blobs/{blob.sha256}")
    try:
        answer = yield from sent(Request("GET", f"/blobs/{path_part(blob.sha256)}"), patience)
    except ApiRefusedError as error:
        raise ResultError(flow, f"{what}: {error}") from error
    if hashlib.sha256(answer.content).hexdigest() != blob.sha256:
        raise ResultError(flow, f"{what}, and other bytes came")
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ResultError(flow, f"{what}: {error}") from error


def converted(flow: Flow, result_type: Any) -> Any:
    """The flow's result as this type.

    Raises:
        ResultError: there is none, or it does not convert.
    """
    if flow.result_problem:
        raise ResultError(flow.id, flow.result_problem)
    return _as_type(flow.id, flow.result, result_type)


def _as_type(flow: str, plain: Any, result_type: Any) -> Any:
    if result_type in (Any, object):
        return plain
    if result_type in (None, type(None)):
        return None
    try:
        convert = converter(result_type)
        return convert(plain) if convert else plain
    except Exception as error:  # a model's own validation may raise anything
        raise ResultError(flow, str(error)) from error


def flows_page(query: Mapping[str, Any], patience: Patience) -> Steps[tuple[list[FlowEntry], str | None]]:
    """A page of flows, newest first, and the cursor of the next."""
    page = decoded((yield from sent(Request("GET", "/flows", query), patience)), _Page)
    return page.flows, page.next


def events_page(flow: str, after: str | None, patience: Patience) -> Steps[tuple[list[Event], str | None]]:
    """A page of the flow's events, and the position behind which the next begins."""
    answer = yield from sent(Request("GET", f"{_path(flow)}/events", {"after": after}), patience)
    page = decoded(answer, _Page)
    return page.events, page.next


def log_page(
    flow: str, task: int | str | None, query: Mapping[str, Any], patience: Patience
) -> Steps[tuple[list[LogLine], str | None]]:
    """A page of what a flow's tasks, or one of them, wrote, and where the next begins.

    Raises:
        UnknownFlowError, UnknownTaskError: there is no such task.
    """
    path = f"{_path(flow)}/log" if task is None else f"{_path(flow)}/tasks/{path_part(str(task))}/log"
    page = decoded((yield from sent(Request("GET", path, query), patience)), _Page)
    return page.lines, page.next


def workers(patience: Patience) -> Steps[list[Worker]]:
    """The live workers."""
    return decoded((yield from sent(Request("GET", "/workers"), patience)), _Workers).workers


def operate(flow: str, verb: str, body: Mapping[str, Any], patience: Patience) -> Steps[Operated]:
    """An operation on the flow, done once however often it is sent.

    Raises:
        RefusedError: it does not fit how the flow stands.
        MovedError: the flow has moved on since the version that was given.
        ParametersError: a task or its program cannot take the parameters.
    """
    answer = yield from _sent_once(flow, verb, body, patience)
    return decoded(answer, Operated)


def fork(flow: str, body: Mapping[str, Any], patience: Patience) -> Steps[str]:
    """A new flow from tasks of this one on; its id."""
    answer = yield from _sent_once(flow, "fork", body, patience)
    return decoded(answer, _Forked).task_flow_id


def _sent_once(flow: str, verb: str, body: Mapping[str, Any], patience: Patience) -> Steps[Answer]:
    given = {name: value for name, value in body.items() if value is not None or name == "result"}
    key = f"client-{uuid.uuid4()}"
    return (yield from sent(Request("POST", f"{_path(flow)}/{verb}", body=encoded(given), key=key), patience))


def _path(flow: str) -> str:
    return f"/flows/{path_part(flow)}"


def _chunks(places: Sequence[int], bodies: Sequence[bytes]) -> list[list[int]]:
    chunks: list[list[int]] = []
    size = math.inf
    for place in places:
        size += len(bodies[place]) + 1
        if size > _MOST_BYTES_AT_ONCE or len(chunks[-1]) >= _MOST_AT_ONCE:
            chunks.append([])
            size = len(bodies[place]) + 1
        chunks[-1].append(place)
    return chunks


def _refusal(entry: _Entry, wanted: Registration[Any]) -> FlowerError:
    """The error of one entry, which has a code, words and a type."""
    said = f"{wanted.workflow}: {entry.description}"
    if entry.code == 404:
        return UnknownWorkflowError(said)
    return error_of(entry.code, encoded({"detail": said, "type": entry.type}))
