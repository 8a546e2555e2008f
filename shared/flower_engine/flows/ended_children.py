"""What became of children of which Redis does not know: it was rebuilt, or restarted, between their end and
the next step of their parents."""

import logging
from collections.abc import Sequence

import msgspec

from flower_engine.errors import HistoryDamagedError, UnknownFlowError
from flower_engine.flows.history import find_entries
from flower_engine.flows.stores import Stores
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.end_kinds import GIVEN_UP
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.waits.wait_parameters import RETURNS
from flower_engine.projection.archive.histories import state_of
from flower_engine.transitions.tree_transitions import Begun, DueChild

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Known(msgspec.Struct, frozen=True):
    """``begins``: there was no such child; ``outcome``: what it came to (None: it has not ended, as far as
    its history says, and nobody can tell now)."""

    begins: bool = False
    outcome: Begun | None = None


async def ended_children(stores: Stores, due: Sequence[DueChild]) -> dict[bytes, Known]:
    """What the history says of the children of these tasks, by the members of the tasks.

    Raises:
        psycopg.Error, StoreUnavailableError, RedisError: it cannot be read now.
    """
    return {one.member: await _known(stores, one) for one in due}


async def _known(stores: Stores, due: DueChild) -> Known:
    child = child_flow_id(due.flow, due.task, due.attempt)
    try:
        flow = state_of(child, await find_entries(stores, stores.partition_of(child), child))
    except UnknownFlowError:
        return Known(begins=True)
    except HistoryDamagedError as error:
        return Known(
            outcome=_cannot("ChildFailed", f"the history of its child, flow {child}, is damaged: {error}")
        )
    if flow.ended_ms is None:
        _log.warning("flow %s is under way by its history, and not in Redis: its parent waits", child)
        return Known()
    return Known(outcome=outcome_of_child(flow))


def outcome_of_child(flow: FlowState) -> Begun:
    """What a child that has ended came to."""
    if flow.ending is not None and flow.ending.cause == "timeout":
        return _cannot("ChildFailed", f"its child, flow {flow.flow}, took too long")
    if flow.cancelled is not None:
        return _cannot("ChildCancelled", f"its child, flow {flow.flow}, was cancelled")
    if any(task.ended_as == GIVEN_UP for task in flow.tasks):
        return _cannot("ChildFailed", f"in its child, flow {flow.flow}, a task was given up")
    if flow.again is not None:
        return Begun("again", payload=b"%d %b" % (flow.again.due_ms, bytes(flow.again.given)))
    says = next((task for task in flow.tasks if task.planned.program == RETURNS), None)
    if says is None:
        return Begun("returned", payload=b"null")
    if says.status is Status.FINISH and says.blob is not None:
        return Begun("stored", payload=_encode(says.blob))
    if says.status is not Status.FINISH or says.result is None:
        return _cannot(
            "ChildReturnedNothing", f"its child, flow {flow.flow}, has ended without what it is to return"
        )
    return Begun("returned", payload=says.result)


def _cannot(kind: str, message: str) -> Begun:
    return Begun("cannot", payload=_encode(TaskError(type=kind, message=message)))
