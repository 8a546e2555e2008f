"""Plans of workflows whose flows take parameters: bound to values, they are plans of flows."""

from collections.abc import Iterator, Mapping
from typing import Any

from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.flows.given_parameters import given_to
from flower_engine.flows.live_programs import Versions
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.flow_parameters import FlowParameters
from flower_engine.model.parameters.references import known_value
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.waits.wait_parameters import (
    APPROVAL,
    DECISION,
    EVENT,
    MAP,
    RETURNS,
    SUBFLOW,
    misfits_of_default,
)
from flower_engine.model.waits.wait_programs import known_parameters
from flower_engine.transitions.register_transition import FlowPlan


def bound_by_default(plan: FlowPlan) -> FlowPlan:
    """The plan of a flow to which nothing is given; it is made once.

    Raises:
        ParametersError: something must be given; names all of that.
    """
    if plan.takes is None:
        return plan
    if plan.bound is None:
        values, _, faults = plan.takes.taken({}, "#/parameters")
        tasks = [] if faults else [plan.takes.bind(task, values) for task in plan.planned]
        faults += [fault for task in tasks for fault in faults_of_default(task, plan.takes)]
        if faults:
            raise ParametersError(faults)
        tasks = [plan.keying.keyed(task) for task in tasks]
        plan.bound = plan.with_tasks(tasks, values)
    return plan.bound


def faults_of_default(task: PlannedTask, takes: FlowParameters) -> Iterator[ParameterFault]:
    """What is wrong with the default of a wait that is made of parameters of its flow: it is held against its
    type, as one is that stands in the definition."""
    used: Mapping[str, list[str]] = takes.used.get(task.seq, {})
    named = used.get("default") if task.program in (APPROVAL, EVENT) else None
    for place, said in misfits_of_default(task.program, known_parameters(task)) if named else ():
        where = f"taskSeq {task.task_seq}: {task.program}, parameter {place[1:]!r}: {said}"
        yield ParameterFault(where, "#/parameters" + pointer_to(named[0]))


class FlowValues:
    """The parameters of one flow, as they are given."""

    def __init__(self, plan: FlowPlan, given: Mapping[str, Any], versions: Versions) -> None:
        """``faults``: what is wrong with them; ``others``: what was given and is none of them."""
        self._takes, self._given, self._versions = plan.takes, given, versions
        self.values: dict[str, Any] = {}
        self.others, self.faults = given, list[ParameterFault]()
        if plan.takes is not None:
            self.values, self.others, self.faults = plan.takes.taken(given, "#/parameters")

    def bind(self, task: PlannedTask) -> PlannedTask:
        """The task with these values; what its program cannot take of those that were given is a fault."""
        if self._takes is None or self.faults or task.seq not in self._takes.used:
            return task
        now = self._takes.bind(task, self.values)
        self.faults += faults_of_default(now, self._takes)
        for name, params in self._takes.used[task.seq].items():
            given = [one for one in params if one in self._given]
            value = known_value(now.parameters[name]) if now.refs else now.parameters[name]
            if given and value is not None and task.program not in (DECISION, MAP, SUBFLOW, RETURNS):
                program = task.program
                problems = given_to(
                    program, now.parameters, {name: value}, (), self._versions.get(program)
                ).problems
                pointer = "#/parameters" + pointer_to(given[0])
                self.faults += [
                    ParameterFault(f"taskSeq {task.task_seq}: {problem.detail}", pointer)
                    for problem in problems
                ]
        return now
