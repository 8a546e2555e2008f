"""One operation on every flow that a selection matches, page after page, with progress."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from flower_engine.errors import MovedError, RefusedError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.tree_operations import TreeOperator
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
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
Name = Literal["rerun", "resume", "ignore", "cancel", "pause", "priority"]


class BulkOperation(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to each flow; ``rerun`` and ``ignore`` concern its failed tasks, with ``fault`` only those
    that failed so; ``scope``, ``workflow_version`` and ``keep_answers`` are of rerun, ``priority`` is that to
    be."""

    name: Name
    by: str
    scope: Scope = ""
    workflow_version: str = ""
    keep_answers: bool = False
    reason: str = ""
    priority: int = 0
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
    """A flow for which it is done, and what that was: "resume" comes to "rerun" where nothing is paused,
    "pause" to "nothing" where it was. Of "ignore" the tasks that were passed over, else none; of "priority"
    the one that all of its tasks had before, None where they had several."""

    flow: str
    did: str
    tasks: list[int]
    priority: int | None = None


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
    try:
        if tasks is not None and operation.name in ("rerun", "ignore"):
            operated = await _operate_on_tasks(stores, flow, tasks, operation)
            return OperatedFlow(flow, operation.name, operated if operation.name == "ignore" else [])
        return await _CALLS[operation.name](TreeOperator(stores, flow, operation.by), flow, operation)
    except Exception as error:  # noqa: BLE001 # told for this flow, tried for the others
        return Refusal(flow, error)


async def _rerun(operator: TreeOperator, flow: str, operation: BulkOperation) -> OperatedFlow:
    await _rerun_tasks(operator, "failed", operation)
    return OperatedFlow(flow, "rerun", [])


async def _rerun_tasks(operator: TreeOperator, selection: Any, operation: BulkOperation) -> None:
    version, keeps = operation.workflow_version, operation.keep_answers
    await operator.rerun(selection, operation.scope, {}, version, keep_answers=keeps)


async def _resume(operator: TreeOperator, flow: str, _operation: BulkOperation) -> OperatedFlow:
    did, _ = await operator.resume()
    return OperatedFlow(flow, did, [])


async def _ignore(operator: TreeOperator, flow: str, operation: BulkOperation) -> OperatedFlow:
    failed = held_tasks(await operator.state())
    await operator.ignore(failed, operation.reason)
    return OperatedFlow(flow, "ignore", failed)


async def _cancel(operator: TreeOperator, flow: str, operation: BulkOperation) -> OperatedFlow:
    await operator.cancel(operation.reason)
    return OperatedFlow(flow, "cancel", [])


async def _pause(operator: TreeOperator, flow: str, operation: BulkOperation) -> OperatedFlow:
    was_paused = (await operator.state()).paused is not None
    await operator.pause(operation.reason)
    return OperatedFlow(flow, "nothing" if was_paused else "pause", [])


async def _prioritise(operator: TreeOperator, flow: str, operation: BulkOperation) -> OperatedFlow:
    before = {task.planned.priority for task in (await operator.state()).tasks}
    await operator.prioritise(operation.priority)
    return OperatedFlow(flow, "priority", [], before.pop() if len(before) == 1 else None)


_CALLS: Mapping[Name, Callable[[TreeOperator, str, BulkOperation], Awaitable[OperatedFlow]]] = {
    "rerun": _rerun,
    "resume": _resume,
    "ignore": _ignore,
    "cancel": _cancel,
    "pause": _pause,
    "priority": _prioritise,
}


def held_tasks(state: FlowState) -> list[int]:
    """The tasks of a flow about which somebody must decide.

    Raises:
        RefusedError: there are none.
    """
    held = [task.planned.seq for task in state.tasks if task.is_held]
    if not held:
        raise RefusedError(f"flow {state.flow}: none of its tasks has failed", "nothing")
    return held


def failed_of(state: FlowState, tasks: Sequence[int]) -> list[int]:
    """Those of the tasks that stand failed: what somebody reran meanwhile is not meant any more.

    Raises:
        RefusedError: there are none.
    """
    failed = [seq for seq in tasks if state.task(seq).status is Status.SUSPEND]
    if not failed:
        raise RefusedError(f"flow {state.flow}: none of these tasks stands failed any more", "nothing")
    return failed


async def _operate_on_tasks(
    stores: PostgresStores, flow: str, tasks: Sequence[int], operation: BulkOperation
) -> list[int]:
    """On those of the tasks that stand failed still, which it returns."""
    for left in reversed(range(_TRIES)):
        state = await TreeOperator(stores, flow, operation.by).state()
        failed = failed_of(state, tasks)
        operator = TreeOperator(stores, flow, operation.by, state.version)
        try:
            if operation.name == "rerun":
                await _rerun_tasks(operator, failed, operation)
            else:
                await operator.ignore(failed, operation.reason)
        except MovedError:
            if not left:
                raise
        else:
            return failed
    raise AssertionError
