"""What a flow returns: its workflow's ``returns``, with the results of its tasks once it has finished."""

from typing import Any

import msgspec

from flower_engine.errors import ParameterError
from flower_engine.flows.sources import Definitions
from flower_engine.model.reference_forms import FormError
from flower_engine.model.references import NoValueError, bound, resolved_value
from flower_engine.model.status import Status
from flower_engine.projection.archive.histories import told
from flower_engine.projection.read.views import FlowView, TaskView


async def add_result(definitions: Definitions, flow: FlowView) -> None:
    """Gives a flow that has finished its result, or says why it has none.

    Raises:
        psycopg.Error, StoreUnavailableError: the version of its workflow cannot be read.
    """
    if flow.exec_status != Status.FINISH or not flow.workflow_version:
        return
    returns = await definitions.returns(flow.task_id, flow.workflow_version)
    if returns is None:
        return
    try:
        parameters = msgspec.json.decode(flow.parameters, type=dict[str, Any] | None)
        asked = bound({"": returns}, parameters or {})[""]
        value = resolved_value(asked, _Results(flow).read, _no_secret, "what the flow returns")
        flow.result = msgspec.Raw(msgspec.json.encode(value))
    except ParameterError as error:
        flow.result_problem = str(error)
    except (FormError, msgspec.MsgspecError, RecursionError) as error:  # somebody edited the rows
        flow.result_problem = f"what the flow returns cannot be told: {told(error)}"


class _Results:
    """The results of a flow's tasks, by name or by taskSeq as text."""

    def __init__(self, flow: FlowView) -> None:
        self._tasks = {str(task.task_seq): task for task in flow.tasks}
        self._tasks |= {task.task_name: task for task in flow.tasks if task.task_name is not None}

    def read(self, name: str) -> Any:
        task = self._tasks.get(name)
        if task is None or not _has_value(task):
            raise NoValueError(name)
        if task.blob is not None:
            return {"$blob": msgspec.to_builtins(task.blob)}
        return msgspec.json.decode(task.result)


def _has_value(task: TaskView) -> bool:
    """One that was passed over has a value only if somebody gave it one."""
    if task.exec_status == Status.IGNORE:
        return task.blob is not None or bytes(task.result) != b"null"
    return task.exec_status == Status.FINISH


def _no_secret(name: str) -> str:
    raise ParameterError(f"what the flow returns asks for the secret {name}")  # no definition may say so
