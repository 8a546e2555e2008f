"""``POST /signals``, ``/flows/{id}/signals``, ``/flows/{id}/tasks/{n}/answer``: what happens in the world
that flows wait for."""

import uuid
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from flower_api.access import by_of, roles_of
from flower_api.cursors import cursor_of, no_cursor, read_cursor
from flower_api.openapi import replies, reply
from flower_api.operation_answers import operation_of
from flower_api.path_ids import FlowIdPath
from flower_api.request_times import is_known_time
from flower_api.routes.tasks import TaskPath
from flower_api.schemas import IdempotencyKey, KeyHeader, RequestBody
from flower_engine.flows.answers import Answerer
from flower_engine.flows.kept_signals import keep, let_go
from flower_engine.flows.operation_views import OperatedView
from flower_engine.flows.payloads import encoded_payload
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.signals import send_to_all, send_to_flow
from flower_engine.flows.task_numbers import numbers_of
from flower_engine.model.waits.wait_parameters import MAX_SIGNAL_NAME
from flower_engine.projection.definitions.signal_rows import SignalCursor, list_signals
from flower_engine.projection.read.view_fields import Moment, View
from flower_engine.transitions.wait_transitions import Sent

_MOST_TOLD = 1_000


_PATTERN = r"^[^\x00-\x1f\x7f]*$"
SignalPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=255,
        pattern=_PATTERN,
        description="The id of the signal; it may hold slashes.",
    ),
]


class SignalBody(RequestBody):
    """Something that happened. `id` makes it count once in a flow, however often it is sent; without one it
    has the Idempotency-Key, or one of its own."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_SIGNAL_NAME, pattern=_PATTERN)]
    key: Annotated[str, Field(max_length=MAX_SIGNAL_NAME, pattern=_PATTERN)] = ""
    id: IdempotencyKey | None = None
    payload: Any = Field(None, description="of any JSON type, at most 64 KiB")


class SignalAllBody(SignalBody):
    """The same for all flows in which a task awaits it, or with `first` for one of them."""

    first: bool = False
    keep_seconds: float | None = Field(
        None,
        ge=1,
        le=30 * 86_400,
        description="so long it is kept, for flows that come to await it; each gets it once, with `first` one"
        " flow at all",
    )


class AnswerBody(RequestBody):
    """An answer to an approval; `attempt`: the one in which it was asked, as the caller saw it."""

    answer: Any = Field(description="as the form of the approval wants it, at most 64 KiB")
    attempt: int | None = Field(None, ge=1)
    version: int | None = Field(
        None, ge=1, description="the flow's version as the caller saw it; refused if there is a newer one"
    )


class SignalledView(View):
    """What became of a signal: `taken` by the task, `kept` until one awaits it, `known`: it came before."""

    task_flow_id: str
    id: str
    became: str
    task_exec_seq: int | None


class TakenView(View):
    """A task that took a signal."""

    task_flow_id: str
    task_exec_seq: int


class SignalledAllView(View):
    """How many tasks took the signal, the first of them, and how many flows that await it do not take it:
    not such a payload, or no signal any more.
    `isKnown`: a flow got it before, by the same id. `keptUntil`: so long it is kept for others (null: it is
    not)."""

    id: str
    taken: int
    tasks: list[TakenView]
    unfit: int
    is_known: bool
    kept_until: Moment | None = None


class KeptSignalView(View):
    """A signal that is kept for flows that come to await it; `taken`: by so many tasks so far."""

    id: str
    name: str
    key: str
    by: str
    sent: Moment
    until: Moment
    first: bool
    taken: int


class SignalsPage(View):
    """Signals that are kept, the oldest first; `next` is the cursor of the next page."""

    signals: list[KeptSignalView]
    next: str | None


def add_signals(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes of signals and answers."""

    def sent_of(body: SignalBody, request: Request, key: str | None) -> Sent:
        identity = body.id or key or uuid.uuid4().hex
        payload = encoded_payload(body.payload, "#/payload")
        return Sent(name=body.name, key=body.key, id=identity, by=by_of(request), payload=payload)

    @app.post(
        "/flows/{task_flow_id}/signals",
        summary="Send a signal to a flow",
        responses=replies(
            {200: (SignalledView, "What became of it")},
            problems=(400, 404, 409, 410, 413, 415, 422, 429, 503),
        ),
    )
    async def post_flow_signal(
        task_flow_id: FlowIdPath, body: SignalBody, request: Request, key: KeyHeader = None
    ) -> Response:
        """The task that awaits it takes it; where none does, the flow keeps it until one will."""
        sent = sent_of(body, request, key)
        done = await send_to_flow(stores, task_flow_id.lower(), sent)
        return reply(SignalledView(done.flow, sent.id, done.word, done.task or None))

    @app.post(
        "/signals",
        summary="Send a signal to all flows that await it",
        responses=replies(
            {200: (SignalledAllView, "Who took it")}, problems=(400, 409, 413, 415, 422, 429, 503)
        ),
    )
    async def post_signal(body: SignalAllBody, request: Request, key: KeyHeader = None) -> Response:
        """By name and key. What no task awaits now is not kept, unless `keepSeconds` says so."""
        sent = sent_of(body, request, key)
        until = None
        if body.keep_seconds is not None:
            kept, done = await keep(stores, sent, body.keep_seconds, first=body.first)
            until = None if kept.is_over else kept.until
        else:
            done = await send_to_all(stores, sent, first=body.first)
        tasks = [TakenView(one.flow, one.task) for one in done.taken[:_MOST_TOLD]]
        return reply(SignalledAllView(sent.id, len(done.taken), tasks, done.unfit, done.is_known, until))

    @app.get(
        "/signals",
        summary="List signals that are kept",
        responses=replies({200: (SignalsPage, "A page of them, the oldest first")}, problems=(422, 503)),
    )
    async def get_signals(
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Response:
        """Those that were sent by name and key, and wait for flows that come to await them."""
        behind = None if cursor is None else _read_cursor(cursor)
        async with stores.postgres() as connection:
            found = await list_signals(connection, behind, limit + 1)
        end = SignalCursor(found[limit - 1].sent, found[limit - 1].id) if len(found) > limit else None
        views = [
            KeptSignalView(one.id, one.name, one.key, one.by, one.sent, one.until, one.is_first, one.taken)
            for one in found[:limit]
        ]
        return reply(SignalsPage(views, end and cursor_of(end)))

    @app.delete(
        "/signals/{signal:rest}",
        summary="Keep a signal no more",
        status_code=204,
        responses=replies({}, problems=(404, 422, 503)),
    )
    async def delete_signal(signal: SignalPath, request: Request) -> Response:
        """By its id. Flows that come to await it do not get it any more; those that took it keep it."""
        await let_go(stores, signal, by_of(request))
        return Response(status_code=204)

    @app.post(
        "/flows/{task_flow_id}/tasks/{task}/answer",
        summary="Answer an approval",
        responses=replies(
            {200: (OperatedView, "The task, if this was the last answer that it needed")},
            problems=(400, 403, 404, 409, 410, 413, 415, 422, 503),
        ),
    )
    async def post_answer(
        task_flow_id: FlowIdPath, task: TaskPath, body: AnswerBody, request: Request, key: KeyHeader = None
    ) -> Response:
        """In the name of the token. One that says no (`approved` is false) ends it, whoever else is asked."""
        flow_id = task_flow_id.lower()
        (number,) = (await numbers_of(stores, flow_id, [task])).of([task])
        operation = operation_of(request, body, key) if key else ""
        answerer = Answerer(stores, flow_id, by_of(request), body.version, operation)
        done = await answerer.answer(number, body.answer, body.attempt, roles=roles_of(request))
        return reply(OperatedView(flow_id, "answer", done.version, list(done.tasks)))


def _read_cursor(cursor: str) -> SignalCursor:
    begin = read_cursor(cursor, SignalCursor)
    if not is_known_time(begin.sent) or "\0" in begin.id:
        raise no_cursor()
    return begin
