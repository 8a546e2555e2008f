"""``POST /bulk``: one operation on every flow that a filter matches; counted first, with progress."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal, Self

import msgspec
from fastapi import FastAPI, Request
from pydantic import Field, model_validator
from starlette.responses import Response, StreamingResponse

from flower_api.access import by_of
from flower_api.error_answers import problem_of
from flower_api.openapi import Responses, replies, reply
from flower_api.path_ids import FlowIdText
from flower_api.request_times import TimeText
from flower_api.routes.flows import ENDING, FAILED, StatusName, statuses_of
from flower_api.schemas import (
    NAME_PATTERN,
    BulkConcerned,
    BulkEffect,
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
from flower_engine.flows.bulk_effects import MOST_FORETOLD, Foretold, foretell, matching
from flower_engine.flows.bulk_operations import BulkEnd, BulkOperation, Name, Tally, operate_on_many
from flower_engine.flows.moments import time_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.model.tasks.task_spec import MAX_PRIORITY, MIN_PRIORITY
from flower_engine.projection.definitions.acting import note_act
from flower_engine.projection.read.alike_tasks import Fault
from flower_engine.projection.read.flow_selection import FlowSelection

MOST_COUNTED = 100_000
MOST_NAMED = 20
MOST_FLOWS = 1_000
_TOLD = {"scope", "workflow_version", "priority"}
_LINES = "application/x-ndjson"
_encode = msgspec.json.Encoder().encode


class FaultFilter(RequestBody):
    """What failed tasks have in common, as a group of `GET /errors` says it."""

    program: Annotated[str, Field(max_length=256, pattern=NAME_PATTERN)]
    type: Annotated[str, Field(max_length=1_000, pattern=NAME_PATTERN)]
    shape: Annotated[str, Field(max_length=1_000, pattern=NAME_PATTERN)]


class Filter(RequestBody):
    """Which flows are meant; all of what is given must fit."""

    task_flow_ids: Annotated[list[FlowIdText], Field(max_length=MOST_FLOWS)] | None = Field(
        None, description="no others than these flows"
    )
    trunk: FlowIdText | None = Field(None, description="flows of the tree below this flow")
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
        ids = self.task_flow_ids
        return FlowSelection(
            flows=None if ids is None else tuple(one.lower() for one in ids),
            trunk=None if self.trunk is None else self.trunk.lower(),
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
    foretell: int = Field(
        0, ge=0, le=MOST_FORETOLD, description="of a dry run: of so many flows, the exact effect"
    )
    scope: Literal["only", "dependents", "changed"] | None = Field(None, description="of rerun")
    workflow_version: WorkflowVersion | None = Field(
        None, description="of rerun: what runs again is of this version of its workflow from then on"
    )
    keep_answers: bool = Field(
        False, description="of rerun: waits that have ended, and have not failed, keep what came of them"
    )
    priority: int | None = Field(
        None, ge=MIN_PRIORITY, le=MAX_PRIORITY, description="of priority: the lower goes first"
    )
    reason: Reason = ""

    @model_validator(mode="after")
    def _priority_is_there(self) -> Self:
        if (self.priority is None) == (self.operation == "priority"):
            raise ValueError("give priority with the operation priority, and with no other")
        return self

    @model_validator(mode="after")
    def _fits_a_rerun(self) -> Self:
        if self.operation != "rerun" and (self.scope or self.workflow_version or self.keep_answers):
            raise ValueError("give scope, workflowVersion and keepAnswers with the operation rerun alone")
        return self


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
        named = max(body.foretell, MOST_NAMED if fault else 0) if body.dry_run else 0
        operation = BulkOperation(
            name=body.operation,
            by=by_of(request),
            scope=body.scope or "",
            workflow_version="" if body.workflow_version is None else str(body.workflow_version),
            keep_answers=body.keep_answers,
            reason=body.reason,
            priority=body.priority or 0,
            fault=None if fault is None else Fault(fault.program, fault.type, fault.shape),
        )
        found = await matching(stores, selection, operation, most=MOST_COUNTED + 1, first=named)
        count = found.count
        if body.dry_run:
            warnings = await Names(stores).of_filter(body.filter.task_id) if not count else []
            matches = BulkMatches(min(count, MOST_COUNTED), count > MOST_COUNTED, warnings, found.tasks)
            told = await foretell(stores, found.first[: body.foretell], operation)
            matches.flows = [_concerned(one) for one in told] + [
                BulkConcerned(one.flow, one.workflow, one.tasks) for one in found.first[body.foretell :]
            ]
            return reply(matches)
        stores.partitions  # noqa: B018 # raises while the engine is not ready: once streaming, it is too late
        await _note(stores, body, operation.by, count)
        lines = _lines_of(operate_on_many(stores, selection, operation), count)
        return StreamingResponse(lines, media_type=_LINES)


async def _note(stores: PostgresStores, body: BulkBody, by: str, count: int) -> None:
    """Before anything is done: what became of each flow, its events tell."""
    asked: dict[str, Any] = body.filter.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if ids := asked.get("taskFlowIds"):
        asked["taskFlowIds"] = ids[:MOST_NAMED]  # each tells of it in its own history
    said = {"filter": asked, "flows": count}
    said |= body.model_dump(mode="json", by_alias=True, include=_TOLD, exclude_none=True)
    if body.keep_answers:
        said["keepAnswers"] = True
    async with stores.postgres() as connection:
        await note_act(
            connection,
            by,
            f"bulk.{body.operation}",
            workflow=body.filter.task_id,
            reason=body.reason,
            details=said,
        )


def _concerned(one: Foretold) -> BulkConcerned:
    effect = None if one.effect is None else BulkEffect.of(one.effect, one.elsewhere)
    refusal = None if one.refusal is None else _words_of(one.refusal)
    return BulkConcerned(one.flow, one.workflow, one.tasks, one.did, effect, refusal)


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
