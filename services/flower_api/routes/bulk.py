"""``POST /bulk``: one operation on every flow that a filter matches; counted first, with progress."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated, Literal

import msgspec
from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from flower_api.access import by_of
from flower_api.error_answers import problem_of
from flower_api.openapi import Responses, replies, reply
from flower_api.request_times import TimeText
from flower_api.routes.flows import ENDING, FAILED, StatusName, statuses_of
from flower_api.schemas import (
    NAME_PATTERN,
    BulkConcerned,
    BulkMatches,
    BulkOperated,
    BulkProgress,
    BulkRefusal,
    BulkResult,
    Reason,
    RequestBody,
    WorkflowName,
    WorkflowVersion,
)
from flower_engine.errors import FlowerError
from flower_engine.flows.bulk_operations import (
    BulkEnd,
    BulkOperation,
    Name,
    Tally,
    alike,
    operate_on_many,
)
from flower_engine.flows.moments import time_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.projection.definitions.acting import note_act
from flower_engine.projection.read.alike_tasks import Fault
from flower_engine.projection.read.flow_selection import FlowSelection, count_flows

MOST_COUNTED = 100_000
MOST_NAMED = 20
_LINES = "application/x-ndjson"
_encode = msgspec.json.Encoder().encode


class FaultFilter(RequestBody):
    """What failed tasks have in common, as a group of `GET /errors` says it."""

    program: Annotated[str, Field(max_length=256, pattern=NAME_PATTERN)]
    type: Annotated[str, Field(max_length=1_000, pattern=NAME_PATTERN)]
    shape: Annotated[str, Field(max_length=1_000, pattern=NAME_PATTERN)]


class Filter(RequestBody):
    """Which flows are meant; all of what is given must fit."""

    task_id: WorkflowName | None = None
    status: list[StatusName] = Field(
        [], description="any of them; Failed: ended in Suspend; Ending: its cleanup goes on"
    )
    since: TimeText | None = Field(None, description="registered then or later")
    until: TimeText | None = Field(None, description="registered before then")
    error: Annotated[str, Field(min_length=1, max_length=1_000, pattern=NAME_PATTERN)] | None = Field(
        None, description="in type or message of the error of a suspended task"
    )
    fault: FaultFilter | None = Field(
        None, description="with tasks that failed so; rerun and ignore concern these alone"
    )

    def selection(self) -> FlowSelection:
        return FlowSelection(
            workflow=self.task_id,
            statuses=statuses_of(self.status),
            failed=FAILED in self.status,
            ending=ENDING in self.status,
            since=None if self.since is None else time_of(self.since, "since"),
            until=None if self.until is None else time_of(self.until, "until"),
            text=self.error,
        )


class BulkBody(RequestBody):
    """An operation and the flows it is for. `rerun` and `ignore` concern the failed tasks of each."""

    operation: Name
    filter: Filter
    dry_run: bool = Field(False, description="only count")
    scope: Literal["only", "dependents"] | None = Field(None, description="of rerun")
    workflow_version: WorkflowVersion | None = Field(
        None, description="of rerun: what runs again is of this version of its workflow from then on"
    )
    reason: Reason = ""


def add_bulk(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the route for many flows."""

    @app.post(
        "/bulk",
        summary="Do the same to many flows",
        responses=_responses(),
    )
    async def post_bulk(body: BulkBody, request: Request) -> Response:
        """With `dryRun` the count alone; else `application/x-ndjson`: lines of progress, at last the result.

        A client that goes away stops it; what is done stays done, and the same call goes on with the rest.
        """
        selection, fault = body.filter.selection(), body.filter.fault
        operation = BulkOperation(
            name=body.operation,
            by=by_of(request),
            scope=body.scope or "",
            workflow_version="" if body.workflow_version is None else str(body.workflow_version),
            reason=body.reason,
            fault=None if fault is None else Fault(fault.program, fault.type, fault.shape),
        )
        if fault is not None:
            found = await alike(stores, selection, operation)
            count = len(found)
        else:
            found = []
            async with stores.postgres() as connection:
                count = await count_flows(connection, selection, most=MOST_COUNTED + 1)
        if body.dry_run:
            warnings = await Names(stores).of_filter(body.filter.task_id) if not count else []
            matches = BulkMatches(min(count, MOST_COUNTED), count > MOST_COUNTED, warnings)
            if fault is not None:
                matches.tasks = sum(len(one.tasks) for one in found)
                matches.flows = [
                    BulkConcerned(one.flow, one.workflow, one.tasks) for one in found[:MOST_NAMED]
                ]
            return reply(matches)
        stores.partitions  # noqa: B018 # raises while the engine is not ready: once streaming, it is too late
        await _note(stores, body, operation.by, count)
        lines = _lines_of(operate_on_many(stores, selection, operation), count)
        return StreamingResponse(lines, media_type=_LINES)


async def _note(stores: PostgresStores, body: BulkBody, by: str, count: int) -> None:
    """Before anything is done: what became of each flow, its events tell."""
    said = {"filter": body.filter.model_dump(mode="json", by_alias=True, exclude_unset=True), "flows": count}
    said |= body.model_dump(
        mode="json", by_alias=True, include={"scope", "workflow_version"}, exclude_none=True
    )
    async with stores.postgres() as connection:
        await note_act(
            connection,
            by,
            f"bulk.{body.operation}",
            workflow=body.filter.task_id,
            reason=body.reason,
            details=said,
        )


def _responses() -> Responses:
    responses = replies(
        {200: (BulkMatches | BulkProgress | BulkResult, "A count, or lines of progress and a result")},
        problems=(400, 413, 415, 422, 503),
    )
    responses[200]["content"][_LINES] = {"schema": {"type": "string"}}
    return responses


async def _lines_of(steps: AsyncGenerator[Tally | BulkEnd], count: int) -> AsyncGenerator[bytes]:
    async with contextlib.aclosing(steps):
        async for step in steps:
            yield _encode(_view(step, count)) + b"\n"


def _view(step: Tally | BulkEnd, count: int) -> BulkProgress | BulkResult:
    if isinstance(step, Tally):
        return BulkProgress(*step, max(count, sum(step)))
    # The status is sent already: errors can only be told here.
    refusals = [BulkRefusal(flow, _words_of(error)) for flow, error in step.refusals]
    operated = [BulkOperated(*one) for one in step.operated]
    if step.stopped is None:
        return BulkResult("finished", *step.tally, refusals, operated)
    refusals.append(BulkRefusal("", problem_of(step.stopped).detail))
    return BulkResult("stopped", *step.tally, refusals, operated)


def _words_of(error: Exception) -> str:
    return str(error) if isinstance(error, FlowerError) else problem_of(error).detail
