"""``/tasks``: failed tasks across all flows; ``/flows/{id}/tasks/{n}``: one task with its attempts."""

from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query
from pydantic import BeforeValidator
from starlette.responses import Response

from flower_api.cursors import cursor_of, no_cursor, read_cursor
from flower_api.openapi import replies, reply
from flower_api.path_ids import FlowIdPath
from flower_api.request_times import At, AtLeast, TimeText, is_known_time
from flower_api.schemas import NAME_PATTERN, TaskName, TasksPage, WorkflowName
from flower_engine.flows.flow_waits import VERSION_SECONDS, FlowWaits, Wanted
from flower_engine.flows.history import find_task
from flower_engine.flows.moments import time_of
from flower_engine.flows.past_flows import find_task_at
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.model.tasks.task_spec import MAX_TASKS
from flower_engine.projection.read.failed_tasks import TaskCursor, TaskFilter, Which, list_failed
from flower_engine.projection.read.views import TaskDetail

_WHICH: dict[str, Which] = {
    "suspend": "suspended",
    "2": "suspended",
    "held": "held",
    "givenup": "givenUp",
    "retrying": "retrying",
}
FailedStatus = Annotated[
    Literal["suspend", "2", "held", "givenup", "retrying"],
    BeforeValidator(
        lambda given: given.lower().replace("suspended", "suspend") if isinstance(given, str) else given
    ),
]
_STATUS = (
    "suspend: failed for good; of these held: somebody must decide, givenup: their flows went on without"
    " them; retrying: waits for its next attempt"
)
Text = Annotated[str, Query(min_length=1, max_length=1_000, pattern=NAME_PATTERN)]
TaskPath = Annotated[
    Annotated[int, Path(ge=1, le=MAX_TASKS)] | TaskName, Path(description="its taskExecSeq, or its name")
]
Time = Annotated[TimeText, Query(description="UTC where no offset is given")]


def add_tasks(app: FastAPI, stores: PostgresStores, waits: FlowWaits) -> None:
    """Adds the routes that show tasks."""
    names = Names(stores)

    @app.get(
        "/tasks",
        summary="List failed tasks, newest first",
        responses=replies(
            {200: (TasksPage, "A page of tasks; it may be short and not the last")}, problems=(422, 503)
        ),
    )
    async def get_tasks(
        *,
        status: Annotated[FailedStatus, Query(description=_STATUS)] = "suspend",
        workflow: Annotated[WorkflowName | None, Query(alias="taskId")] = None,
        program: Text | None = None,
        error: Annotated[
            Text | None, Query(description="looked for in type and message of the error")
        ] = None,
        since: Time | None = None,
        until: Time | None = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Response:
        """Of all workflows, as they are projected. Tracebacks are in GET /flows/{task_flow_id}."""
        asked = TaskFilter(
            which=_WHICH[status],
            workflow=workflow,
            program=program,
            text=error,
            since=None if since is None else time_of(since, "since"),
            until=None if until is None else time_of(until, "until"),
        )
        behind = None if cursor is None else _read_cursor(cursor)
        async with stores.postgres() as connection:
            tasks, end = await list_failed(connection, asked, behind=behind, limit=limit)
        warnings = await names.of_failed(asked) if not tasks and end is None and cursor is None else []
        return reply(TasksPage(tasks, end and cursor_of(end), warnings))

    @app.get(
        "/flows/{task_flow_id}/tasks/{task}",
        summary="Show a task with its attempts",
        responses=replies({200: (TaskDetail, "The task")}, problems=(404, 409, 422, 503)),
    )
    async def get_task(
        task_flow_id: FlowIdPath, task: TaskPath, at: At = None, at_least: AtLeast = None
    ) -> Response:
        """Every attempt with its worker, times, how it ended, and its error."""
        flow_id = task_flow_id.lower()
        if at is not None:
            return reply(await find_task_at(stores, flow_id, task, at))
        if at_least is not None:
            await waits.flow(flow_id, Wanted(at_least, is_over=False), VERSION_SECONDS)
        return reply(await find_task(stores, flow_id, task))


def _read_cursor(cursor: str) -> TaskCursor:
    begin = read_cursor(cursor, TaskCursor)
    if not is_known_time(begin.ts) or "\0" in begin.flow or abs(begin.task) > 2**31 - 1:
        raise no_cursor()
    return begin
