"""What a fork would do, told before: how the tasks of the new flow would stand once it is registered."""

from flower_engine.flows.effects import Effect, Line, follow, lanes_of
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold
from flower_engine.model.waits.wait_parameters import PROGRAMS
from flower_engine.transitions.register_transition import FlowPlan


def effect_of_fork(old: FlowState, plan: FlowPlan) -> Effect:
    """Of registering the flow of this plan, which takes over from ``old``. The numbers are those that its
    tasks have in the new flow; ``version`` is that of the old one."""
    registered = plan.registered(old.flow)
    flow = fold([registered])[old.flow]
    passed, unneeded = follow(flow)
    taken = {*registered.taken, *registered.blobs, *registered.ignored}
    runs = [task.planned.seq for task in flow.tasks if not task.has_ended]
    ready = [seq for seq in runs if flow.task(seq).is_ready]
    return Effect(
        version=old.version,
        runs=runs,
        asked_again=[seq for seq in runs if flow.task(seq).planned.program in PROGRAMS],
        passed_over=sorted({*registered.passed, *registered.unmet, *passed}),
        cut_off=sorted({*registered.unneeded, *unneeded}),
        matched=sorted(registered.earlier),
        kept=sorted(taken),
        ready=ready,
        ends=flow.ended_ms is not None,
        line=Line.of(flow),
        lanes=lanes_of(flow, ready),
    )
