"""What the task above makes of a child that is cancelled, or fails because of one that is, as its
``on_failure`` says, or because it waits for the end of that alone; told before."""

import msgspec

from flower_engine.flows.effects import Before, Effect, follow
from flower_engine.model.definitions.child_flows import CHILD_CANCELLED
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.events.event_base import NO_VALUE
from flower_engine.model.events.events import TaskGivenUp, TaskOverdue
from flower_engine.model.events.operator_events import FlowEnding, TaskIgnored
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold_steps import STEPS
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError

_BY = "on_failure"


def effect_of_failed_child(flow: FlowState, seq: int) -> Effect:
    """Of the end of the child that a task of this flow awaits, as a failure (``lua/lib/children.lua``), or of
    one in which nothing goes on; the state is changed."""
    before, task = Before(flow), flow.task(seq)
    error = TaskError(type=CHILD_CANCELLED, message="its child was cancelled")
    overdue = TaskOverdue(at=0, flow=flow.flow, v=flow.version + 1, task=seq, error=error)
    STEPS[TaskOverdue](flow, overdue)
    rules = TaskRules.of(task.planned)
    follows = rules.on_failure if rules is not None else "hold"
    if follows == "give_up":
        given_up = TaskGivenUp(
            at=0,
            flow=flow.flow,
            v=flow.version + 1,
            task=seq,
            was=int(Status.SUSPEND),
            by=_BY,
            attempt=task.attempt,
            ends=flow.left == 1,
        )
        STEPS[TaskGivenUp](flow, given_up)
    elif follows == "pass":
        passed = TaskIgnored(
            at=0,
            flow=flow.flow,
            v=flow.version + 1,
            task=seq,
            was=int(Status.SUSPEND),
            by=_BY,
            result=_result_of(rules),
            ends=flow.left == 1,
        )
        STEPS[TaskIgnored](flow, passed)
    passed_over, unneeded = follow(flow)
    effect = before.effect(flow, sorted([*passed_over, *[seq] * (follows == "pass")]), unneeded)
    effect.held = [seq] if task.is_held else []
    effect.given_up = [seq] if follows == "give_up" else []
    return effect


def effect_of_ended_child(flow: FlowState, seq: int) -> Effect:
    """Of the end of the child whose end a task of this flow, which is ending, waits for: it is cut off; the
    state is changed."""
    assert flow.ending is not None
    before = Before(flow)
    event = FlowEnding(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by="",
        cause=flow.ending.cause,
        waiting=(seq,),
        goes_on=True,
        ends=flow.left == 1,
    )
    STEPS[FlowEnding](flow, event)
    effect = before.effect(flow, *follow(flow))
    effect.cut_off = sorted([*effect.cut_off, seq])
    effect.cleanup = [task.planned.seq for task in flow.tasks if not task.has_ended]
    return effect


def _result_of(rules: TaskRules | None) -> msgspec.Raw:
    """What stands in for the result of a task that is passed over."""
    if rules is None or rules.stand_in is None:
        return NO_VALUE
    return msgspec.Raw(msgspec.json.encode(rules.stand_in))
