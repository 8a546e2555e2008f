"""One operation on every flow that a selection matches, page after page, with progress."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from flower_engine.errors import MovedError, RefusedError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.tree_operations import TreeOperator
from flower_engine.model.status import Status
from flower_engine.projection.read.alike_tasks import AlikeFlow, Fault, tasks_alike
from flower_engine.projection.read.flow_selection import FlowAt, FlowSelection, select_flows
from flower_engine.transitions.operator_transitions import Scope

_AT_ONCE = 32
_TRIES = 5
_PAGE = 500
_TELL_SECONDS = 0.25
_MOST_REFUSALS = 100
MOST_OPERATED = 1_000

_Concerned = tuple[str, Sequence[int] | None]
"""A flow, and its tasks that are meant; None: whichever failed."""
Name = Literal["rerun", "resume", "ignore", "cancel", "pause"]


class BulkOperation(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to each flow; ``rerun`` and ``ignore`` concern its failed tasks, with ``fault`` only those
    that failed so; ``scope`` and ``workflow_version`` are of rerun."""

    name: Name
    by: str
    scope: Scope = ""
    workflow_version: str = ""
    reason: str = ""
    fault: Fault | None = None


class Refusal(NamedTuple):
    """A flow that the operation failed for, and the error."""

    flow: str
    error: Exception


class Tally(NamedTuple):
    """For how many flows it is done, and refused."""

    done: int
    refused: int


class OperatedFlow(NamedTuple):
    """A flow for which it is done; of ``ignore`` the tasks that were passed over, else none."""

    flow: str
    tasks: list[int]


class BulkEnd(NamedTuple):
    """How it ended; ``stopped``: no more flows could be found, and why. At most 100 refusals are told, and
    the first 1,000 flows for which it is done."""

    tally: Tally
    refusals: list[Refusal]
    operated: list[OperatedFlow]
    stopped: Exception | None = None


async def operate_on_many(
    stores: PostgresStores, selection: FlowSelection, operation: BulkOperation
) -> AsyncGenerator[Tally | BulkEnd]:
    """Operates on all of the flows; gives how far it is now and then, and at last how it ended.

    What one flow refuses, whatever the error, stops none of the others. Whoever goes away stops it; what is
    done stays done, and the same call goes on with the rest.
    """
    done, refused, refusals, operated = 0, 0, list[Refusal](), list[OperatedFlow]()
    told = time.monotonic()
    pages = _pages(stores, selection, operation)
    while True:
        try:
            page = await anext(pages, None)
        except Exception as error:  # noqa: BLE001 # what is done must be told, whatever it is
            yield BulkEnd(Tally(done, refused), refusals, operated, error)
            return
        if page is None:
            break
        for first in range(0, len(page), _AT_ONCE):
            outcomes = await asyncio.gather(
                *(_operate(stores, one, operation) for one in page[first : first + _AT_ONCE])
            )
            for outcome in outcomes:
                if isinstance(outcome, OperatedFlow):
                    done += 1
                    if len(operated) < MOST_OPERATED:
                        operated.append(outcome)
                    continue
                refused += 1
                if len(refusals) < _MOST_REFUSALS:
                    refusals.append(outcome)
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                yield Tally(done, refused)
    yield BulkEnd(Tally(done, refused), refusals, operated)


async def alike(
    stores: PostgresStores, selection: FlowSelection, operation: BulkOperation
) -> list[AlikeFlow]:
    """The flows in which something failed as the operation's ``fault`` says, with the tasks that it
    concerns."""
    assert operation.fault is not None
    async with stores.postgres() as connection:
        return await tasks_alike(connection, operation.fault, selection, held=operation.name == "ignore")


async def _pages(
    stores: PostgresStores, selection: FlowSelection, operation: BulkOperation
) -> AsyncGenerator[Sequence[_Concerned]]:
    if operation.fault is not None:
        yield [(one.flow, one.tasks) for one in await alike(stores, selection, operation)]
        return
    behind: FlowAt | None = None
    while True:
        async with stores.postgres() as connection:
            page = await select_flows(connection, selection, behind=behind, limit=_PAGE)
        yield [(place.flow, None) for place in page]
        if len(page) < _PAGE:
            return
        behind = page[-1]


async def _operate(
    stores: PostgresStores, concerned: _Concerned, operation: BulkOperation
) -> Refusal | OperatedFlow:
    flow, tasks = concerned
    ignored: list[int] = []
    try:
        if tasks is not None and operation.name in ("rerun", "ignore"):
            operated = await _operate_on_tasks(stores, flow, tasks, operation)
            return OperatedFlow(flow, operated if operation.name == "ignore" else [])
        operator = TreeOperator(stores, flow, operation.by)
        calls: dict[Name, Callable[[], Awaitable[Any]]] = {
            "rerun": lambda: operator.rerun("failed", operation.scope, {}, operation.workflow_version),
            "resume": operator.resume,
            "ignore": lambda: _ignore_failed(operator, operation.reason, ignored),
            "cancel": lambda: operator.cancel(operation.reason),
            "pause": lambda: operator.pause(operation.reason),
        }
        await calls[operation.name]()
    except Exception as error:  # noqa: BLE001 # told for this flow, tried for the others
        return Refusal(flow, error)
    return OperatedFlow(flow, ignored)


async def _ignore_failed(operator: TreeOperator, reason: str, ignored: list[int]) -> None:
    state = await operator.state()
    failed = [task.planned.seq for task in state.tasks if task.is_held]
    if not failed:
        raise RefusedError(f"flow {state.flow}: none of its tasks has failed", "nothing")
    await operator.ignore(failed, reason)
    ignored += failed


async def _operate_on_tasks(
    stores: PostgresStores, flow: str, tasks: Sequence[int], operation: BulkOperation
) -> list[int]:
    """On those of the tasks that stand failed still, which it returns: what somebody reran meanwhile is not
    run again."""
    for left in reversed(range(_TRIES)):
        state = await TreeOperator(stores, flow, operation.by).state()
        failed = [seq for seq in tasks if state.task(seq).status is Status.SUSPEND]
        if not failed:
            raise RefusedError(f"flow {flow}: none of these tasks stands failed any more", "nothing")
        operator = TreeOperator(stores, flow, operation.by, state.version)
        try:
            if operation.name == "rerun":
                await operator.rerun(failed, operation.scope, {}, operation.workflow_version)
            else:
                await operator.ignore(failed, operation.reason)
        except MovedError:
            if not left:
                raise
        else:
            return failed
    raise AssertionError
