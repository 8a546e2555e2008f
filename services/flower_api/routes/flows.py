"""``/flows``: what became of flows, and their history."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from fastapi import FastAPI, Query
from pydantic import BeforeValidator
from starlette.responses import Response

from flower_api.cursors import cursor_of, no_cursor, read_cursor
from flower_api.openapi import replies, reply
from flower_api.path_ids import FlowIdPath, FlowIdText, FlowNamePath
from flower_api.request_times import POSITION_PATTERN, At, AtLeast, TimeText, is_known_time, wrong
from flower_api.schedule_schemas import KnownScheduleName
from flower_api.schemas import EventsPage, FlowsPage, NamedFlow, WorkflowName
from flower_engine.flows.flow_names import find_flow_id
from flower_engine.flows.flow_waits import LONGEST_SECONDS, VERSION_SECONDS, FlowWaits, Wanted
from flower_engine.flows.history import find_flow, find_history
from flower_engine.flows.moments import time_of
from flower_engine.flows.past_flows import find_flow_at
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.model.tasks.status import Status
from flower_engine.projection.read.queries import FlowCursor, FlowFilter, list_flows
from flower_engine.projection.read.schedule_slots import uids_named
from flower_engine.projection.read.views import FlowSummary, FlowView

STATUSES = {
    **{status.word: status for status in Status},
    **{str(int(status)): status for status in Status},
}
StatusName = Annotated[
    Literal["Wait", "Running", "Suspend", "Finish", "Ignore", "Failed", "Ending", "0", "1", "2", "3", "9"],
    BeforeValidator(lambda given: given.capitalize() if isinstance(given, str) else given),
]
FAILED, ENDING = "Failed", "Ending"
_STATUS = (
    "may be given more than once; Failed: ended in Suspend, with tasks that were given up; Ending: cancelled,"
    " or it took too long, and its cleanup goes on"
)
WaitSeconds = Annotated[
    float | None,
    Query(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False, description="seconds to wait for the flow, at most"),
]
Limit = Annotated[int, Query(ge=1, le=1_000)]


def statuses_of(names: Iterable[str]) -> tuple[Status, ...]:
    """The statuses of these names, without ``Failed`` and ``Ending``."""
    return tuple(STATUSES[name] for name in names if name not in (FAILED, ENDING))


def add_flows(app: FastAPI, stores: PostgresStores, waits: FlowWaits) -> None:
    """Adds the routes that show flows."""
    names = Names(stores)

    @app.get(
        "/flows",
        summary="List flows, newest first",
        responses=replies({200: (FlowsPage, "A page of flows")}, problems=(422, 503)),
    )
    async def get_flows(
        *,
        workflow: Annotated[WorkflowName | None, Query(alias="taskId")] = None,
        schedule: Annotated[
            KnownScheduleName | None,
            Query(description="fired for its slots; its name, also of one that is gone"),
        ] = None,
        status: Annotated[list[StatusName] | None, Query(description=_STATUS)] = None,
        parent: Annotated[FlowIdText | None, Query(description="children of this flow")] = None,
        trunk: Annotated[FlowIdText | None, Query(description="flows of the tree below this flow")] = None,
        children: Annotated[bool, Query(description="false: none that are children of others")] = True,
        since: Annotated[
            TimeText | None, Query(description="registered then or later; UTC where no offset is given")
        ] = None,
        until: Annotated[TimeText | None, Query(description="registered before then")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        """Flows as they are projected: one registered a moment ago may be missing for as long."""
        asked = FlowFilter(
            parent=None if parent is None else parent.lower(),
            trunk=None if trunk is None else trunk.lower(),
            children=children,
            workflow=workflow,
            statuses=statuses_of(status or ()),
            failed=FAILED in (status or ()),
            ending=ENDING in (status or ()),
            since=None if since is None else time_of(since, "since"),
            until=None if until is None else time_of(until, "until"),
        )
        behind = None if cursor is None else _read_cursor(cursor)
        async with stores.postgres() as connection:
            if schedule is not None:
                uids = await uids_named(connection, schedule)
                asked = msgspec.structs.replace(asked, schedules=uids)
            flows = await list_flows(connection, asked, behind=behind, limit=limit + 1)
        is_last = len(flows) <= limit
        is_empty = not flows and cursor is None
        warnings = await names.of_filter(workflow, schedule=schedule) if is_empty else []
        return reply(FlowsPage(flows[:limit], None if is_last else _cursor(flows[limit - 1]), warnings))

    @app.get(
        "/flow-names/{name}",
        summary="Find a flow by the first characters of its id, or the last one",
        responses=replies({200: (NamedFlow, "The flow's id")}, problems=(404, 409, 422, 503)),
    )
    async def get_flow_name(name: FlowNamePath) -> Response:
        """For people who type: `last` is the flow registered last that is no child of another one, anything
        else the beginning of one id."""
        return reply(NamedFlow(await find_flow_id(stores, name)))

    @app.get(
        "/flows/{task_flow_id}",
        summary="Show a flow with its tasks",
        responses=replies({200: (FlowView, "The flow")}, problems=(404, 409, 422, 503)),
    )
    async def get_flow(
        task_flow_id: FlowIdPath,
        at: At = None,
        at_least: AtLeast = None,
        wait: WaitSeconds = None,
        until: Annotated[
            Literal["over", "version"],
            Query(
                description="what `wait` waits for: that the flow is over (and of the version), or that alone"
            ),
        ] = "over",
    ) -> Response:
        """Tasks that failed for good come first, in `failedTasks`; each task in Wait says why it waits.

        With `wait` the answer comes as soon as the flow has ended, or stands still because tasks failed.
        """
        flow_id = task_flow_id.lower()
        if at is not None:
            if at_least is not None or wait is not None:
                raise wrong("at", "what was is not waited for: give at, or wait and atLeast")
            return reply(await find_flow_at(stores, flow_id, at))
        if at_least is None and wait is None:
            return reply(await find_flow(stores, flow_id))
        wanted = Wanted(at_least or 0, is_over=wait is not None and until == "over")
        return reply(await waits.flow(flow_id, wanted, VERSION_SECONDS if wait is None else wait))

    @app.get(
        "/flows/{task_flow_id}/events",
        summary="Show a flow's history",
        responses=replies({200: (EventsPage, "A page of its events")}, problems=(404, 422, 503)),
    )
    async def get_events(
        task_flow_id: FlowIdPath,
        after: Annotated[
            str | None,
            Query(pattern=POSITION_PATTERN, description="a position; `next` of the page before"),
        ] = None,
        limit: Limit = 1_000,
    ) -> Response:
        """Events in order, from the archive and from what of the log is not archived yet."""
        flow_id = task_flow_id.lower()
        history = await find_history(stores, flow_id, after, limit)
        return reply(EventsPage(flow_id, history.partition, history.events, history.next))


def _cursor(flow: FlowSummary) -> str:
    return cursor_of(FlowCursor(flow.registered_ts, flow.task_flow_id))


def _read_cursor(cursor: str) -> FlowCursor:
    begin = read_cursor(cursor, FlowCursor)
    if not is_known_time(begin.registered_ts) or "\0" in begin.flow:
        raise no_cursor()
    return begin
