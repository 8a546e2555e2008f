"""What a pause, the end of one and another priority would do to a flow, told from its state before.

What is taken and refused is what ``operator/pause.lua``, ``resume.lua`` and ``prioritise.lua`` take and
refuse; ``tests/scripts/test_holding_effects.py`` holds them against each other.
"""

from msgspec.structs import replace

from flower_engine.flows.effects import Before, Effect, Line, lanes_of, refuse_ended
from flower_engine.flows.run_again import is_away
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.operator_transitions import refusal


def effect_of_pause(flow: FlowState, now_ms: int) -> Effect:
    """Of a pause; nothing, where the flow is paused already. ``now_ms``: engine time, by which retries are
    due.

    Raises:
        RefusedError: it would be refused.
    """
    refuse_ended(flow)
    effect = _nothing_of(flow)
    if flow.paused is None:
        effect.withdrawn = startable = _startable(flow, now_ms)
        effect.runs_on = [task.planned.seq for task in flow.tasks if task.status is Status.RUNNING]
        effect.awaits = [
            task.planned.seq
            for task in flow.tasks
            if (task.is_ready and not startable)
            or (task.is_ready and is_away(task, now_ms))
            or (task.is_held and (task.child or task.gives_up_ms is not None))
        ]
    return effect


def effect_of_resume(flow: FlowState, now_ms: int) -> Effect:
    """Of the end of a pause; ``now_ms`` as above.

    Raises:
        RefusedError: it would be refused; ``not-paused``: what failed would run again instead.
    """
    refuse_ended(flow)
    if flow.paused is None:
        raise refusal(flow.flow, "not-paused")
    effect = _nothing_of(flow)
    effect.ready = _startable(flow, now_ms)
    effect.lanes, effect.line = lanes_of(flow, effect.ready), replace(Line.of(flow), paused_by=None)
    return effect


def effect_of_priority(flow: FlowState, priority: int, now_ms: int) -> Effect:
    """Of another priority; ``now_ms`` as above.

    Raises:
        RefusedError: it would be refused.
    """
    refuse_ended(flow)
    effect = _nothing_of(flow)
    effect.prioritised = [
        task.planned.seq for task in flow.tasks if not task.has_ended and task.planned.priority != priority
    ]
    in_lanes = _startable(flow, now_ms) if flow.paused is None else []
    effect.moved = sorted({*effect.prioritised} & {*in_lanes})
    return effect


def _nothing_of(flow: FlowState) -> Effect:
    return Before(flow).effect(flow, [], [])


def _startable(flow: FlowState, now_ms: int) -> list[int]:
    """The tasks that wait for nothing but a worker (or to be asked of the world), if no pause holds the flow;
    none before its start. (No history says that it waits for a place among those of its workflow.)"""
    if flow.registered.start_ms > now_ms:
        return []
    return [task.planned.seq for task in flow.tasks if task.is_ready and not is_away(task, now_ms)]
