"""``POST /bulk``: one operation on every flow that a filter matches; counted first, with progress."""

import asyncio
import time
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
from flower_api.routes.flows import STATUSES, StatusName
from flower_api.schemas import (
    NAME_PATTERN,
    BulkMatches,
    BulkProgress,
    BulkRefusal,
    BulkResult,
    Reason,
    Taken,
    WorkflowName,
)
from flower_engine.errors import FlowerError, RefusedError
from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.moments import time_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.model.status import Status
from flower_engine.projection.read.flow_selection import FlowAt, FlowSelection, count_flows, select_flows

MOST_COUNTED = 100_000
_LINES = "application/x-ndjson"
_AT_ONCE = 32
_PAGE = 500
_TELL_SECONDS = 0.25
_MOST_REFUSALS = 100
_encode = msgspec.json.Encoder().encode


class Filter(Taken):
    """Which flows are meant; all of what is given must fit."""

    task_id: WorkflowName | None = None
    status: list[StatusName] = Field([], description="any of them")
    since: TimeText | None = Field(None, description="registered then or later")
    until: TimeText | None = Field(None, description="registered before then")
    error: Annotated[str, Field(min_length=1, max_length=1_000, pattern=NAME_PATTERN)] | None = Field(
        None, description="in type or message of the error of a suspended task"
    )

    def selection(self) -> FlowSelection:
        return FlowSelection(
            workflow=self.task_id,
            statuses=tuple(STATUSES[name] for name in self.status),
            since=None if self.since is None else time_of(self.since, "since"),
            until=None if self.until is None else time_of(self.until, "until"),
            text=self.error,
        )


class BulkBody(Taken):
    """An operation and the flows it is for. `rerun` and `ignore` concern the failed tasks of each."""

    operation: Literal["rerun", "resume", "ignore", "cancel", "pause"]
    filter: Filter
    dry_run: bool = Field(False, description="only count")
    scope: Literal["only", "dependents"] | None = Field(None, description="of rerun")
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
        selection = body.filter.selection()
        async with stores.postgres() as connection:
            count = await count_flows(connection, selection, most=MOST_COUNTED + 1)
        if body.dry_run:
            warnings = await Names(stores).of_filter(body.filter.task_id) if not count else []
            return reply(BulkMatches(min(count, MOST_COUNTED), count > MOST_COUNTED, warnings))
        stores.partitions  # noqa: B018 # raises while the engine is not ready: once streaming, it is too late
        lines = _work_off(stores, selection, body, by_of(request), count)
        return StreamingResponse(lines, media_type=_LINES)


def _responses() -> Responses:
    responses = replies(
        {200: (BulkMatches | BulkProgress | BulkResult, "A count, or lines of progress and a result")},
        problems=(400, 413, 415, 422, 503),
    )
    responses[200]["content"][_LINES] = {"schema": {"type": "string"}}
    return responses


async def _work_off(
    stores: PostgresStores, selection: FlowSelection, body: BulkBody, by: str, count: int
) -> AsyncGenerator[bytes]:
    done, refused, refusals = 0, 0, list[BulkRefusal]()
    behind: FlowAt | None = None
    told = time.monotonic()
    while True:
        try:
            async with stores.postgres() as connection:
                page = await select_flows(connection, selection, behind=behind, limit=_PAGE)
        except Exception as error:  # noqa: BLE001 # the status is sent already: it can only be told here
            refusals.append(BulkRefusal("", problem_of(error).detail))
            yield _encode(BulkResult("stopped", done, refused, refusals)) + b"\n"
            return
        for first in range(0, len(page), _AT_ONCE):
            flows = [place.flow for place in page[first : first + _AT_ONCE]]
            outcomes = await asyncio.gather(*(_operate(stores, flow, body, by) for flow in flows))
            for flow, why in zip(flows, outcomes, strict=True):
                if why is None:
                    done += 1
                    continue
                refused += 1
                if len(refusals) < _MOST_REFUSALS:
                    refusals.append(BulkRefusal(flow, why))
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                yield _encode(BulkProgress(done, refused, max(count, done + refused))) + b"\n"
        if len(page) < _PAGE:
            break
        behind = page[-1]
    yield _encode(BulkResult("finished", done, refused, refusals)) + b"\n"


async def _operate(stores: PostgresStores, flow: str, body: BulkBody, by: str) -> str | None:
    """Why it was refused, or None."""
    try:
        operator = Operator(stores, flow, by)
        match body.operation:
            case "rerun":
                await operator.rerun("failed", body.scope or "", {})
            case "resume":
                await operator.resume()
            case "ignore":
                await operator.ignore(await _failed_tasks(operator), body.reason)
            case "cancel":
                await operator.cancel(body.reason)
            case "pause":
                await operator.pause(body.reason)
    except FlowerError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 # a store that is away: told for this flow, tried for the others
        return problem_of(error).detail
    return None


async def _failed_tasks(operator: Operator) -> list[int]:
    state = await operator.state()
    failed = [task.planned.seq for task in state.tasks if task.status is Status.SUSPEND]
    if not failed:
        raise RefusedError(f"flow {state.flow}: none of its tasks has failed", "nothing")
    return failed
