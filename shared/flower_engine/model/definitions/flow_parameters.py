"""The parameters that a flow takes as a whole, and how its tasks come by them.

With a schema they are what it says. Without one they are what the definition refers to with ``$param``: each
is needed, of any type, and whatever else is given replaces parameters of tasks by name.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from flower_engine.errors import ParameterFault
from flower_engine.model.decisions.decision_tasks import bound_condition
from flower_engine.model.definitions.definition import PlannedTask, WorkflowDefinition, with_parameters
from flower_engine.model.parameters.parameters_schema import ParametersSchema, parameter_fault
from flower_engine.model.parameters.references import bound, scan, scan_parameters
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.waits.wait_parameters import DECISION

MAX_BOUND_BYTES = 64 * 1024 * 1024
"""Of all values in all tasks that they are put into: the event of a registration holds them all."""


class FlowParameters:
    """What flows of a workflow take."""

    def __init__(
        self, schema: ParametersSchema | None, tasks: tuple[PlannedTask, ...], returns: Any = None
    ) -> None:
        self._schema = schema
        self.secrets = schema.secrets if schema else frozenset[str]()
        self.used: dict[int, dict[str, list[str]]] = {}
        """By seq of a task: its parameters that refer to parameters of the flow, and to which."""
        self._uses: dict[str, int] = {}
        for task in tasks:
            if task.refs:
                self._note(task)
        for name in scan(returns).params:
            self._uses.setdefault(name, 1)

    def _note(self, task: PlannedTask) -> None:
        for name, value in task.parameters.items():
            places = scan_parameters({name: value}).params
            if places:
                self.used.setdefault(task.seq, {})[name] = sorted(places)
            for one, where in places.items():
                self._uses[one] = self._uses.get(one, 0) + len(where)

    @property
    def is_needed(self) -> bool:
        """Whether anything is to be bound or checked."""
        return self._schema is not None or bool(self._uses)

    def known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values that there is a parameter for."""
        names = self._uses if self._schema is None else self._schema.properties
        return {name: value for name, value in values.items() if name in names}

    def taken(
        self, given: Mapping[str, Any], at: str
    ) -> tuple[dict[str, Any], dict[str, Any], list[ParameterFault]]:
        """The flow's parameters, what else was given, and what is wrong; ``at`` leads to what was given."""
        if self._schema is not None:
            values, faults = self._schema.checked(given, at)
            others: dict[str, Any] = {}
        else:
            values = {name: given[name] for name in self._uses if name in given}
            others = {name: value for name, value in given.items() if name not in self._uses}
            missing = [name for name in self._uses if name not in given]
            faults = [parameter_fault(at, pointer_to(name), "it is missing") for name in missing]
        size = sum(len(msgspec.json.encode(one)) * self._uses.get(name, 1) for name, one in values.items())
        faults += too_many(size, at)
        return values, others, faults

    def bind(self, task: PlannedTask, values: Mapping[str, Any]) -> PlannedTask:
        """The task with these parameters of its flow."""
        if task.seq not in self.used:
            return task
        if task.program == DECISION:
            return with_parameters(task, bound_condition(task.parameters, values))
        return with_parameters(task, bound(task.parameters, values, self.secrets))


def too_many(size_bytes: int, at: str) -> list[ParameterFault]:
    """What is wrong with parameters that take so much room in all tasks together."""
    if size_bytes <= MAX_BOUND_BYTES:
        return []
    detail = f"in all tasks that use them they take {size_bytes} bytes; {MAX_BOUND_BYTES} may be"
    return [ParameterFault(detail, at)]


def flow_parameters_of(
    definition: WorkflowDefinition, tasks: tuple[PlannedTask, ...]
) -> FlowParameters | None:
    """What flows of the workflow take; None: nothing that would have to be bound or checked."""
    schema = None if definition.parameters_schema is None else ParametersSchema(definition.parameters_schema)
    found = FlowParameters(schema, tasks, definition.returns)
    return found if found.is_needed else None
