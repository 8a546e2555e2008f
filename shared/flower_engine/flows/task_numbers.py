"""Tasks of a flow as people name them: by taskExecSeq, or by the name that their definition gives them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flower_engine.errors import ParameterFault, ParametersError, RefusedError
from flower_engine.flows.history import find_state
from flower_engine.flows.stores import Stores
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short

Task = int | str


class TaskNumbers:
    """The tasks of one flow: taskExecSeq by name."""

    def __init__(self, flow_id: str, by_name: Mapping[str, int]) -> None:
        self._flow = flow_id
        self._by_name = by_name

    def of(self, tasks: Iterable[Task]) -> list[int]:
        """The taskExecSeqs, each once, in the order given.

        Raises:
            RefusedError: the flow has no task of this name.
        """
        return list(dict.fromkeys(map(self._number, tasks)))

    def by_number(self, given: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """What is given for tasks, by their taskExecSeqs (as text); what is no task's name stays.

        Raises:
            ParametersError: a task is given twice, by number and by name.
        """
        found: dict[str, Mapping[str, Any]] = {}
        for task, values in given.items():
            number = str(self._by_name.get(task, task))
            if number in found:
                detail = f"task {short(task)!r} is task {number}, for which parameters are given already"
                pointer = f"#/taskParameters/{short(task)}"
                raise ParametersError([ParameterFault(detail=detail, pointer=pointer)])
            found[number] = values
        return found

    def _number(self, task: Task) -> int:
        if isinstance(task, int):
            return task
        number = self._by_name.get(task)
        if number is None:
            near = nearest_in_words(task, self._by_name)
            raise RefusedError(f"flow {self._flow}: it has no task {short(task)!r}{near}", "unknown")
        return number


async def numbers_of(
    stores: Stores, flow_id: str, tasks: Sequence[Task], others: Iterable[str] = ()
) -> TaskNumbers:
    """How these tasks and ``others`` (numbers as text, or names) of the flow are numbered. Where all are
    numbers, nothing is asked.

    Raises:
        UnknownFlowError: a task is named, and there is no such flow.
    """
    is_named = any(isinstance(task, str) for task in tasks) or any(not one.isdecimal() for one in others)
    if not is_named:
        return TaskNumbers(flow_id, {})
    state = await find_state(stores, stores.partition_of(flow_id), flow_id)
    named = {
        task.planned.task_name: task.planned.seq for task in state.tasks if task.planned.task_name is not None
    }
    return TaskNumbers(flow_id, named)
