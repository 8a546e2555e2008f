"""``/changes`` and ``/flows/{id}/changes``: what changes, as server-sent events, while it does."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request
from starlette.responses import Response, StreamingResponse

from flower_api.head_requests import method_of
from flower_api.openapi import Responses, replies, reply
from flower_api.path_ids import FlowIdPath
from flower_api.request_times import POSITION_PATTERN, wrong
from flower_api.task_log_events import EVENT_STREAM
from flower_engine.flows.flow_shapes import Layouts, find_timeline
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.watched_flow import Frame
from flower_engine.flows.watched_flows import WatchedFlows
from flower_engine.flows.watched_lists import ListFrame, WatchedLists, positions_of
from flower_engine.model.definitions.dag_layout import DagLayout
from flower_engine.model.folding.flow_timeline import FlowTimeline

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
_LONGEST_ID = 20_000

LastPosition = Annotated[
    str | None,
    Header(alias="Last-Event-ID", pattern=POSITION_PATTERN, description="goes on behind this event"),
]
LastPositions = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=_LONGEST_ID, description="goes on behind this event"),
]


def add_changes(app: FastAPI, stores: PostgresStores, flows: WatchedFlows, lists: WatchedLists) -> None:
    """Adds the routes that tell what changes, and what a flow is drawn from."""
    layouts = Layouts()

    @app.get("/changes", summary="Follow the changes of all flows", responses=_stream(422, 503))
    async def get_changes(request: Request, last_event: LastPositions = None) -> Response:
        """Server-sent events: `start`, then `flows`, how flows stand that changed since the event before,
        twice a second at most; `reset` instead where these are too many: ask for the list anew. `id` is the
        position in the log; with `Last-Event-ID` it goes on exactly behind that. `waiting`: Postgres is away,
        `current`: it is there again; `seen`: what `Flower-Seen` is from now on, where there is a replica."""
        if last_event and positions_of(last_event) is None:
            raise wrong("Last-Event-ID", "this is not the id of an event of this stream")
        lists.begin()
        return _answer(request, lists, lists.watch(last_event or None))

    @app.get(
        "/flows/{task_flow_id}/changes",
        summary="Follow the changes of a flow",
        responses=_stream(404, 409, 422, 503),
    )
    async def get_flow_changes(
        request: Request, task_flow_id: FlowIdPath, last_event: LastPosition = None
    ) -> Response:
        """Server-sent events: `table`, the whole flow, then `changes`, rows that replace those of their
        tasks, four times a second at most. `id` is the position of the last event that is in it; with
        `Last-Event-ID` it goes on exactly behind that. `waiting`: Postgres is away, `current`: it is there
        again; `problem`: the flow cannot be followed, and why; `seen`: `Flower-Seen` from now on, where there
        is a replica."""
        flow = task_flow_id.lower()
        await flows.begin(flow)
        return _answer(request, flows, flows.watch(flow, last_event or None))

    @app.get(
        "/flows/{task_flow_id}/timeline",
        summary="Show when each task of a flow stood where",
        responses=replies({200: (FlowTimeline, "The timeline, in columns")}, problems=(404, 409, 422, 503)),
    )
    async def get_timeline(task_flow_id: FlowIdPath) -> Response:
        """One row each time that a task came to stand elsewhere, in the order of the log."""
        return reply(await find_timeline(stores, task_flow_id.lower()))

    @app.get(
        "/flows/{task_flow_id}/layout",
        summary="Show how the graph of a flow is drawn",
        responses=replies({200: (DagLayout, "The layout, in columns")}, problems=(404, 409, 422, 503)),
    )
    async def get_layout(task_flow_id: FlowIdPath) -> Response:
        """Layers and rows of tasks, and edges; it stays as it is for as long as the flow has these tasks."""
        return reply(await layouts.find(stores, task_flow_id.lower()))


def _answer(
    request: Request,
    watched: WatchedFlows | WatchedLists,
    frames: AsyncGenerator[Frame] | AsyncGenerator[ListFrame],
) -> Response:
    if method_of(request.scope) == "HEAD":
        return Response(headers=_HEADERS, media_type=EVENT_STREAM)
    return StreamingResponse(_sent(watched, frames), headers=_HEADERS, media_type=EVENT_STREAM)


async def _sent(
    watched: WatchedFlows | WatchedLists, frames: AsyncGenerator[Frame] | AsyncGenerator[ListFrame]
) -> AsyncGenerator[bytes]:
    yield b"retry: 1000\n: changes follow\n\n"
    said = None
    async with aclosing(frames) as told:
        async for frame in told:
            if watched.seen != said:  # before what it is of, so that nobody asks a replica that lacks it
                said = watched.seen
                yield f"event: seen\ndata: {said.text}\n\n".encode() if said else b""
            yield _event(frame)


def _event(frame: Frame | ListFrame) -> bytes:
    if not frame.kind:
        return b": nothing new\n\n"
    head = f"id: {frame.position}\n" if frame.position else ""
    return f"{head}event: {frame.kind}\ndata: ".encode() + frame.data + b"\n\n"


def _stream(*problems: int) -> Responses:
    responses = replies({}, problems=problems)
    content: dict[str, Any] = {EVENT_STREAM: {"schema": {"type": "string"}}}
    responses[200] = {"description": "What changes, as it does", "content": content}
    return responses
