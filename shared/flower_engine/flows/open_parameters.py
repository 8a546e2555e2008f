"""Parameters that a definition leaves open: each registration has to give what every live version of a task's
program needs. What nobody knows of is taken, and its worker judges."""

from collections.abc import Iterable, Sequence

from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.flows.live_programs import Programs, Versions
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.quoting import short
from flower_engine.programs.signature import Signature
from flower_engine.transitions.register_transition import FlowPlan

_MOST_FAULTS = 100
_ADVICE = "; give it with taskParameters"


async def is_complete(programs: Programs, plan: FlowPlan) -> bool:
    """Whether it is known already that the plan leaves nothing open; so it is of every flow that is given
    more."""
    return plan.complete_for is not None and plan.complete_for == await programs.state()


async def refuse_open(programs: Programs, plan: FlowPlan) -> None:
    """Refuses a flow whose tasks lack what their programs need. A plan that lacks nothing is looked at once
    for what live workers serve.

    Raises:
        ParametersError: names each parameter that is missing.
    """
    state = await programs.state()
    if plan.complete_for == state:
        return

    def check(versions: Versions) -> None:
        faults = _faults(plan.planned, versions)
        if faults:
            raise ParametersError(faults)

    await programs.checked({task.program for task in plan.planned}, check)
    plan.complete_for = state


async def left_open(programs: Programs, plan: FlowPlan) -> list[str]:
    """What its tasks lack, in sentences; for flows of which nobody gives single tasks anything."""
    try:
        await refuse_open(programs, plan)
    except ParametersError as error:
        return [fault.detail.removesuffix(_ADVICE) for fault in error.faults]
    return []


def missing(given: Iterable[str], signature: Signature) -> list[str]:
    """What a version of a program needs, and is not given by any of these names."""
    if not signature.required:
        return []
    bound = {signature.bound(name) for name in given}
    return [name for name in signature.required if name not in bound]


def _faults(tasks: Sequence[PlannedTask], versions: Versions) -> list[ParameterFault]:
    faults: list[ParameterFault] = []
    known: dict[tuple[str, ...], list[str]] = {}
    for task in tasks:
        key = (task.program, *task.parameters)
        if key not in known:
            known[key] = _missing_to_all(task, versions.get(task.program))
        for name in known[key]:
            faults.append(
                ParameterFault(
                    f"taskSeq {task.task_seq}: program {short(task.program)!r} needs the parameter {name!r},"
                    f" which the definition leaves open{_ADVICE}",
                    f"#/taskParameters/{task.task_seq}{pointer_to(name)}",
                )
            )
            if len(faults) == _MOST_FAULTS:
                return faults
    return faults


def _missing_to_all(task: PlannedTask, versions: Sequence[Signature] | None) -> list[str]:
    if not versions:
        return []
    first, *others = (missing(task.parameters, version) for version in versions)
    return [name for name in first if all(name in other for other in others)]
