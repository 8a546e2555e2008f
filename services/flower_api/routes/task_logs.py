"""``/flows/{id}/log``, ``/flows/{id}/tasks/{n}/log``: what tasks wrote, in pages, as text, or as it comes."""

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query, Request
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response, StreamingResponse

from flower_api.head_requests import method_of
from flower_api.openapi import Responses, replies, reply
from flower_api.path_ids import FlowIdPath
from flower_api.request_times import wrong
from flower_api.routes.tasks import TaskPath
from flower_api.task_log_events import EVENT_STREAM, sent_events
from flower_api.task_log_text import PLAIN, all_as_text, as_text, wants_plain
from flower_engine.flows.followed_streams import FollowedStreams
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.task_log_followers import Mark
from flower_engine.flows.task_log_lines import LineFilter
from flower_engine.flows.task_log_pages import (
    MOST_LINES,
    START,
    LogPage,
    find_known,
    find_task_number,
    place_of,
    read_last,
    read_page,
)

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_PLACE_PATTERN = r"^[0-9]{1,9}[.][0-9]{1,9}[.]([0-9]{1,15}|end)$"
_USUAL_LINES = 1_000
_EVENTS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
_AS_IT_IS = {"X-Content-Type-Options": "nosniff"}  # no browser takes it for a page

LevelName = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda given: given.upper() if isinstance(given, str) else given),
]


class LogQuery(BaseModel):
    """Which lines are asked for, and how many."""

    attempt: int | None = Field(None, ge=1, le=2**31 - 1, description="of this attempt only")
    level: Annotated[int, Field(ge=0, le=1_000)] | LevelName | None = Field(
        None,
        description="this level of logging and above; standard output counts as INFO, standard error as"
        " WARNING",
    )
    stream: Literal["out", "err", "log", "engine"] | None = Field(None, description="of this stream only")
    after: Annotated[str, Field(pattern=_PLACE_PATTERN)] | None = Field(
        None, description="`next` of the page before"
    )
    limit: int | None = Field(
        None, ge=1, le=MOST_LINES, description=f"of lines; {_USUAL_LINES} if absent, as text all"
    )
    tail: int | None = Field(None, ge=1, le=MOST_LINES, description="only the last so many lines")
    follow: bool = Field(False, description="lines as they come, as server-sent events")

    def of(self, task: int | None) -> LineFilter:
        """The lines of a task, or of all of them."""
        level = LEVELS[self.level] if isinstance(self.level, str) else self.level or 0
        return LineFilter(task, self.attempt, level, self.stream)


Asked = Annotated[LogQuery, Query()]


LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="`id` of the last event that came: goes on behind it"),
]


def add_task_logs(app: FastAPI, stores: PostgresStores, streams: FollowedStreams) -> None:
    """Adds the routes that show task logs. Whoever follows is served by ``streams``."""

    async def answer(
        request: Request, flow: str, task: int | None, asked: LogQuery, last_event: str | None
    ) -> Response:
        lines = asked.of(task)
        if asked.follow:
            if asked.after is not None or asked.limit is not None:
                raise wrong("follow", "who follows gets no pages: give follow, or after and limit")
            mark = None if last_event is None else Mark.of(last_event)
            if last_event and mark is None:
                raise wrong("Last-Event-ID", "this is not the id of an event that following gave")
            if task is None:
                await find_known(stores, flow)
            events = sent_events(streams, flow, lines, behind=mark, tail=asked.tail)
            if method_of(request.scope) == "HEAD":
                return Response(headers=_EVENTS, media_type=EVENT_STREAM)
            streams.make_room(flow)  # refused while it can be
            return StreamingResponse(events, headers=_EVENTS, media_type=EVENT_STREAM)
        is_plain = wants_plain(request.headers.get("accept", ""))
        if asked.tail is not None:
            if asked.after is not None or asked.limit is not None:
                raise wrong("tail", "the last lines are no page: give tail, or after and limit")
            page = await read_last(stores, flow, lines, asked.tail)
        else:
            place = START if asked.after is None else place_of(asked.after)
            page = await read_page(stores, flow, lines, place, asked.limit or _USUAL_LINES)
        if not is_plain:
            return reply(page)
        if page.next is None or asked.limit is not None:
            return Response(as_text(page.lines, with_task=task is None), headers=_AS_IT_IS, media_type=PLAIN)
        text = all_as_text(stores, page, lines, _USUAL_LINES)
        return StreamingResponse(text, headers=_AS_IT_IS, media_type=PLAIN)

    @app.get(
        "/flows/{task_flow_id}/log",
        summary="Show what the tasks of a flow wrote",
        responses=_responses(),
    )
    async def get_flow_log(
        request: Request, task_flow_id: FlowIdPath, asked: Asked, last_event: LastEventId = None
    ) -> Response:
        """Lines by task, attempt and number, stored ones and those that are not yet.

        With `Accept: text/plain` as text, all of them unless `limit` or `tail` is given."""
        return await answer(request, task_flow_id.lower(), None, asked, last_event)

    @app.get(
        "/flows/{task_flow_id}/tasks/{task}/log",
        summary="Show what a task wrote",
        responses=_responses(),
    )
    async def get_task_log(
        request: Request,
        task_flow_id: FlowIdPath,
        task: TaskPath,
        asked: Asked,
        last_event: LastEventId = None,
    ) -> Response:
        """The same of one task, by taskExecSeq or name."""
        flow = task_flow_id.lower()
        return await answer(request, flow, await find_task_number(stores, flow, task), asked, last_event)


def _responses() -> Responses:
    responses = replies({200: (LogPage, "A page of lines")}, problems=(404, 409, 422, 503))
    content: dict[str, Any] = responses[200]["content"]
    content[PLAIN] = {"schema": {"type": "string"}}
    content[EVENT_STREAM] = {"schema": {"type": "string"}}
    return responses
