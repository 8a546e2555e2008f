"""Flows of schedules: the plan of their workflow as it is kept, bound to the parameters of a slot."""

from collections.abc import Sequence

import msgspec

from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.flows.live_programs import Versions
from flower_engine.flows.plan_overrides import overridden
from flower_engine.flows.plans import compile_plan
from flower_engine.model.definitions.workflow_versions import definition_of
from flower_engine.projection.definitions.schedule_rows import ScheduledWorkflow
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slot_parameters import Moment, parameters_of_slot
from flower_engine.transitions.register_transition import FlowPlan

_DAY_MS = 86_400_000
_A_SLOT_MS = 1_767_614_400_000  # 2026-01-05 12:00 UTC: any will do to see whether parameters fit
_A_MOMENT = Moment(_A_SLOT_MS, _A_SLOT_MS - _DAY_MS, _A_SLOT_MS + _DAY_MS)
_NONE_KNOWN: Versions = {}


def plan_of(workflow: ScheduledWorkflow) -> FlowPlan:
    """The plan of flows of this workflow, to be bound for each slot; it must have no problem. Their children
    are of the versions in its tree.

    Raises:
        DefinitionError: it cannot be run as it is defined.
    """
    definition = definition_of(workflow.name, workflow.canonical)
    keyed = msgspec.structs.replace(definition, keying=workflow.keying)
    return compile_plan(keyed, workflow.hash, workflow.tree)


def plan_of_slot(
    plan: FlowPlan, schedule: Schedule, moment: Moment, versions: Versions = _NONE_KNOWN
) -> FlowPlan:
    """The plan of the flow of a slot: with its parameters and priority. The schedule has no problem.
    ``versions``: what live programs take, where that is to be heeded.

    Raises:
        ParametersError: the parameters do not fit; names all that is wrong.
    """
    return overridden(plan, parameters_of_slot(schedule, moment), {}, schedule.priority, versions)


def plan_of_a_slot(plan: FlowPlan, schedule: Schedule, versions: Versions = _NONE_KNOWN) -> FlowPlan:
    """The plan of a flow of a slot, whichever: to see whether it could be registered.

    Raises:
        ParametersError: see :func:`plan_of_slot`.
    """
    return plan_of_slot(plan, schedule, _A_MOMENT, versions)


def faults_of_flows(
    plan: FlowPlan, schedule: Schedule, versions: Versions = _NONE_KNOWN
) -> Sequence[ParameterFault]:
    """Why flows of this schedule could not be registered; their pointers lead into its document."""
    try:
        plan_of_a_slot(plan, schedule, versions)
    except ParametersError as error:
        return error.faults
    return ()
