"""What an operation would do to a flow, told from its state before anything is done.

What is taken and refused is what the transitions take and refuse (``operator/rerun.lua``, ``ignore.lua``,
``cancel.lua``); their event is made up, the fold adds it, and what rules make of it follows.
``tests/scripts/test_operation_effects.py`` holds them against each other.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.flows.effects import BY, Before, Effect, follow, refuse_ended
from flower_engine.flows.matched_maps import refuse_too_large
from flower_engine.flows.run_again import Again, Selection
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding, FlowRerun, TasksIgnored
from flower_engine.model.events.wait_events import TaskLifted
from flower_engine.model.folding.cleanup import cleanup_of
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold_steps import STEPS
from flower_engine.model.folding.kept_results import reads_of
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import PROGRAMS
from flower_engine.transitions.operator_transitions import Scope, refusal

_MOST_NAMED = 10  # of those that need a result


def effect_of_rerun(
    flow: FlowState,
    selection: Selection,
    scope: Scope,
    *,
    changed: Iterable[int] = (),
    bodies: Mapping[int, PlannedTask] | None = None,
    parameters: Mapping[int, dict[str, Any]] | None = None,
    now_ms: int = 0,
    keep_answers: bool = False,
    within: Collection[int] = (),
    is_up: bool = False,
) -> Effect:
    """Of a rerun; the state is changed. ``changed``: tasks that have other parameters, or another body, from
    then on, as ``bodies`` and ``parameters`` have them, where they are known; ``now_ms``: engine time, by
    which retries are due; ``keep_answers``: see ``transitions/operator_transitions.py``.
    ``within``: tasks that are held for children in which tasks run again, instead of them, but where they run
    again because of what is before them; ``is_up``: the one task that is selected awaits the child that it
    had.

    Raises:
        RefusedError: it would be refused.
    """
    before = Before(flow)
    if within:
        _lift(flow, within)
        others = _others(flow, selection, within)
        if not others:
            effect = before.effect(flow, *follow(flow))
            effect.within = sorted(within)
            return effect
        selection = others
    bodies = bodies or {}
    again = Again(flow, scope, set(changed), now_ms, keep_answers=keep_answers, bodies=bodies)
    again.select(selection)
    ran = again.checked(selection)
    chosen = set(ran if isinstance(selection, str) else selection)
    by_status = {status: tuple(seq for seq in ran if flow.task(seq).status is status) for status in Status}
    reopens = [seq for seq in by_status[Status.IGNORE] if seq not in chosen or isinstance(selection, str)]
    if selection == "all":
        reopens = []
    gone, matched = again.gone, again.matched(ran)
    event = FlowRerun(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by=BY,
        finished=by_status[Status.FINISH],
        ignored=by_status[Status.IGNORE],
        suspended=by_status[Status.SUSPEND],
        waiting=by_status[Status.WAIT],
        bodies={seq: bodies[seq] for seq in ran if seq in bodies},
        parameters={**(parameters or {})},
        gone_finished=tuple(seq for seq in gone if flow.task(seq).status is Status.FINISH),
        gone_ignored=tuple(seq for seq in gone if flow.task(seq).status is Status.IGNORE),
        gone_suspended=tuple(seq for seq in gone if flow.task(seq).status is Status.SUSPEND),
        gone_waiting=tuple(seq for seq in gone if flow.task(seq).status is Status.WAIT),
        matches=tuple(matched),
        ending=flow.is_ending,
    )
    STEPS[FlowRerun](flow, event)
    refuse_too_large(flow, matched)
    effect = before.effect(flow, *follow(flow))
    effect.reopens = reopens
    effect.vanished = gone
    effect.matched = matched
    effect.kept = sorted(set(effect.kept) - set(gone))
    effect.runs = [seq for seq in ran if seq not in set(reopens)]
    effect.withdrawn = sorted(set(effect.withdrawn).difference(ran))
    effect.asked_again = [seq for seq in ran if flow.task(seq).planned.program in PROGRAMS]
    effect.within = sorted({*within}.difference(ran))
    if is_up:
        effect.within = [seq for seq in ran if seq in chosen]
        for told in (effect.runs, effect.asked_again, effect.ready):
            told[:] = [seq for seq in told if seq not in effect.within]
    return effect


def _lift(flow: FlowState, tasks: Iterable[int]) -> None:
    for seq in tasks:
        attempt = flow.task(seq).attempt
        event = TaskLifted(at=0, flow=flow.flow, v=flow.version + 1, task=seq, attempt=attempt)
        STEPS[TaskLifted](flow, event)


def _others(flow: FlowState, selection: Selection, within: Collection[int]) -> Selection:
    if not isinstance(selection, str):
        return [seq for seq in selection if seq not in within]
    has_more = any(task.status is Status.SUSPEND for task in flow.tasks)
    return selection if selection != "failed" or has_more else ()


def effect_of_ignore(flow: FlowState, tasks: Sequence[int], *, has_result: bool = False) -> Effect:
    """Of passing over tasks; the state is changed.

    Raises:
        RefusedError: it would be refused.
    """
    refuse_ended(flow)
    chosen = list(dict.fromkeys(tasks))
    for seq in chosen:
        _refuse_final(flow, seq)
    for seq in chosen if not has_result else ():
        if needing := in_need_of(flow, seq, set(chosen)):
            named = ", ".join(map(str, needing[:_MOST_NAMED])) + (
                ", ..." if len(needing) > _MOST_NAMED else ""
            )
            raise refusal(flow.flow, "needed", str(seq), named)
    before = Before(flow)
    held = {seq for seq in chosen if flow.task(seq).status is Status.SUSPEND}
    event = TasksIgnored(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by=BY,
        ranges=tuple((seq, seq) for seq in chosen if seq not in held),
        held=tuple((seq, seq) for seq in chosen if seq in held),
        result=msgspec.Raw(b"null") if has_result else msgspec.Raw(),
        ends=flow.left == len(chosen),
    )
    STEPS[TasksIgnored](flow, event)
    passed, unneeded = follow(flow)
    return before.effect(flow, sorted([*chosen, *passed]), unneeded)


def effect_of_cancel(flow: FlowState, parents: Collection[int] = ()) -> Effect:
    """Of a cancel; the state is changed. ``parents``: the tasks whose children are under way.

    Raises:
        RefusedError: it would be refused.
    """
    refuse_ended(flow)
    before, spared = Before(flow), cleanup_of(flow)
    left = () if flow.is_ending else [seq for seq in parents if seq not in spared]
    open_tasks = {
        status: tuple(
            task.planned.seq
            for task in flow.tasks
            if task.status is status
            and not task.has_ended
            and task.planned.seq not in spared
            and task.planned.seq not in left
        )
        for status in (Status.WAIT, Status.RUNNING, Status.SUSPEND)
    }
    if spared or left:
        return _effect_of_ending(flow, open_tasks, before, left)
    event = FlowCancelled(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by=BY,
        waiting=open_tasks[Status.WAIT],
        running=open_tasks[Status.RUNNING],
        suspended=open_tasks[Status.SUSPEND],
    )
    STEPS[FlowCancelled](flow, event)
    effect = before.effect(flow, [], [])
    effect.cut_off = sorted(event)
    return effect


def _effect_of_ending(
    flow: FlowState, open_tasks: Mapping[Status, tuple[int, ...]], before: "Before", parents: Sequence[int]
) -> Effect:
    event = FlowEnding(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by=BY,
        cause="cancel",
        waiting=open_tasks[Status.WAIT],
        running=open_tasks[Status.RUNNING],
        suspended=open_tasks[Status.SUSPEND],
        children=tuple(seq for seq in parents if flow.task(seq).status is Status.WAIT),
        held_children=tuple(seq for seq in parents if flow.task(seq).status is Status.SUSPEND),
        until_ms=1,  # whenever that is
    )
    STEPS[FlowEnding](flow, event)
    effect = before.effect(flow, *follow(flow))
    effect.cut_off = sorted([*effect.cut_off, *event])
    effect.cleanup = [task.planned.seq for task in flow.tasks if not task.has_ended]
    return effect


def in_need_of(flow: FlowState, seq: int, but: set[int]) -> list[int]:
    """The tasks that have not ended, and cannot do without the result of this one; ``but`` these."""
    found: list[int] = []
    for dependent in flow.dependents[seq]:
        behind = flow.task(dependent)
        if dependent not in but and not behind.has_ended and reads_of(behind.planned).get(seq):
            found.append(dependent)
    return found


def with_those_in_need(flow: FlowState, tasks: Sequence[int]) -> list[int]:
    """These tasks, and all that cannot do without a result of one of them; in order, each once."""
    found, left = set(tasks), list(tasks)
    while left:
        seq = left.pop()
        if 1 <= seq <= len(flow.tasks):
            more = in_need_of(flow, seq, found)
            found.update(more)
            left += more
    return sorted(found)


def _refuse_final(flow: FlowState, seq: int) -> None:
    if not 1 <= seq <= len(flow.tasks):
        raise refusal(flow.flow, "unknown", str(seq))
    task = flow.task(seq)
    if task.status is Status.RUNNING:
        raise refusal(flow.flow, "ignore-running", str(seq))
    if task.has_ended:
        how = {Status.FINISH: "finished", Status.IGNORE: "ignored"}.get(task.status, "given up")
        raise refusal(flow.flow, "final", str(seq), how)
