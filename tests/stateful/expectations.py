"""What operators' calls must do, from the state of a flow alone: refused, or done for which tasks."""

from typing import Any, NamedTuple

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.kept_results import readers_of, reads_of
from flower_engine.model.maps.map_items import without_items
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.model.waits.wait_parameters import RETURNS, SUBFLOW
from flower_engine.model.waits.wait_programs import DECISION, is_wait
from stateful import maps_expected, rules_expected

VERBS = ("rerun", "rerun", "rerun", "ignore", "unignore", "cancel", "pause", "resume", "resume", "prioritise")


PRIORITY = -3


class Asked(NamedTuple):
    """An operation; ``tasks`` is a list, or "failed" or "all" for a rerun. ``with_bodies``: with another
    version of the workflow. ``result`` stands in for that of the one task that is ignored."""

    verb: str
    tasks: Any
    scope: str
    with_message: bool
    result: bytes = b""
    with_bodies: bool = False


def of(asked: Asked, flow: FlowState, retrying: set[int]) -> set[int] | None:
    """The tasks concerned, or None where it must be refused."""
    has_ended = flow.ended_ms is not None
    match asked.verb:
        case "rerun":
            return _rerun(asked, flow, retrying)
        case "unignore":
            return _unignore(asked.tasks, flow, retrying)
        case _ if has_ended:
            return None
        case "ignore":
            fits = all(
                _status(flow, seq) in (Status.WAIT, Status.SUSPEND) and not flow.task(seq).has_ended
                for seq in asked.tasks
            )
            is_needed = not asked.result and _are_needed(flow, set(asked.tasks))
            return set(asked.tasks) if fits and not is_needed else None
        case "cancel":
            spared = rules_expected.cleanup(flow)
            return {task.planned.seq for task in flow.tasks if not task.has_ended} - spared
        case "resume":
            return set() if flow.paused is not None else None
        case _:
            return set()


def is_done(asked: Asked, flow: FlowState, tasks: set[int], version_before: int) -> bool:
    """Whether the flow stands as it must after the operation."""
    match asked.verb:
        case "rerun":
            return _is_new(flow, version_before + 1) and all(
                (_status(flow, seq) is Status.WAIT or flow.task(seq).ended_as in ("n", "w"))
                and flow.task(seq).failures == 0
                for seq in tasks
            )
        case "ignore":
            is_new = _is_new(flow, version_before + 1)
            results = {flow.task(seq).result or b"" for seq in tasks}
            return (
                is_new
                and all(_status(flow, seq) is Status.IGNORE for seq in tasks)
                and results == {asked.result}
            )
        case "unignore":
            is_new = _is_new(flow, version_before + len(tasks))
            return is_new and all(
                _status(flow, seq) is Status.WAIT or flow.task(seq).ended_as in ("n", "w") for seq in tasks
            )
        case "cancel":
            are_cut_off = all(flow.task(seq).ended_as == "c" for seq in tasks)
            has_ended = flow.ended_ms is not None or flow.is_ending
            return are_cut_off and has_ended and _is_new(flow, version_before + 1)
        case "prioritise":
            return flow.version == version_before + 1 and all(
                task.planned.priority == PRIORITY for task in flow.tasks
            )
        case "pause":
            return flow.paused is not None and flow.version in (version_before, version_before + 1)
        case _:
            return flow.paused is None and flow.version == version_before + 1


def _is_new(flow: FlowState, version: int) -> bool:
    """Whether the operation is all that happened; rules may have passed over tasks then, too."""
    return flow.version >= version if flow.ruled else flow.version == version


def new_parameters(flow: FlowState, seq: int) -> dict[str, Any]:
    """What a new message of a task changes: its customer, or a value in place of what it reads; or nothing,
    and what changes then is that it may be named while it waits."""
    odd = (flow.version + seq) % 3
    if flow.workflow == "heavy":
        return {"customer": f"c{odd}"}
    reads = [name for name, value in flow.task(seq).planned.parameters.items() if isinstance(value, dict)]
    return {reads[0]: odd} if reads and odd else {}


def other_body(flow: FlowState, seq: int) -> PlannedTask | None:
    """What another version makes of a task, which differs from task to task; None: it is the same there."""
    now = without_items(flow.task(seq).planned)
    odd = (flow.version + seq) % 4
    if not odd:
        return None
    if now.program == DECISION:
        return msgspec.structs.replace(now, parameters={"condition": odd > 1}, definition=f"v{flow.version}")
    if now.program in (SUBFLOW, RETURNS):
        return msgspec.structs.replace(now, definition=f"v{flow.version}")
    if is_wait(now.program):
        return _other_wait(now, odd, f"v{flow.version}")
    reads = {1: (), 2: now.depends_on, 3: now.depends_on[:1]}[odd]
    if odd != 3:  # else it stays in its lane
        now = msgspec.structs.replace(
            now,
            program="ABC"[(flow.version + seq) % 3],
            priority=now.priority if odd == 1 else PRIORITY - odd,
            units=odd,
            fair_key=f"c{odd}",
        )
    return msgspec.structs.replace(
        now,
        retry=RetryPolicy(max_attempts=2, delay_ms=1, backoff=1.0, jitter=0.0) if odd == 1 else None,
        queue_timeout_ms=600_000 if odd == 3 else None,
        parameters={
            f"p{other}": {"$from": other} if odd == 2 else {"$from": other, "default": 0} for other in reads
        },
        reads={str(other): other for other in reads},
        refs=bool(reads),
        definition=f"v{flow.version}",
    )


def _other_wait(now: PlannedTask, odd: int, version: str) -> PlannedTask:
    program, parameters = {
        1: ("A", {}),
        2: ("@sleep", {"seconds": 0.001}),
        3: ("@event", {"name": "paid", "key": "2", "timeout_seconds": 600}),
    }[odd]
    return msgspec.structs.replace(
        now, program=program, parameters=parameters, reads={}, refs=False, definition=version
    )


def _has_other_body(asked: Asked, flow: FlowState, seq: int) -> bool:
    return asked.with_bodies and other_body(flow, seq) is not None


def needed(asked: Asked, flow: FlowState, retrying: set[int]) -> set[int]:
    """The tasks whose results an operation that is possible must be given, because they are kept no more."""
    if asked.verb == "rerun":
        again = _again(asked, flow, retrying)
        gone = _gone(asked, flow, again)
        again -= gone
    else:
        gone = set[int]()
        again = set(asked.tasks) if asked.verb == "unignore" else set[int]()
        again |= rules_expected.opened_by_unignore(flow, again)
    final = {task.planned.seq for task in flow.tasks if task.has_ended}
    readers = readers_of((task.planned for task in flow.tasks), final)
    needed: set[int] = set()
    for seq in again:
        planned = flow.task(seq).planned
        if gone.intersection(maps_expected.items(flow, seq)):
            planned = without_items(planned)
        if asked.with_bodies and (body := other_body(flow, seq)):
            if seq not in final and reads_of(body) == reads_of(planned):
                continue
            planned = body
        elif seq not in final:
            continue
        if asked.verb == "rerun" and asked.with_message and seq in asked.tasks:
            parameters = {**planned.parameters, **new_parameters(flow, seq)}
            planned = msgspec.structs.replace(planned, parameters=parameters)
        needed |= {other for other in reads_of(planned) if not readers[other]}
    return (needed & final) - again - gone


def _are_needed(flow: FlowState, tasks: set[int]) -> bool:
    """Whether a task that is not among these cannot do without the result of one of them."""
    return any(
        reads_of(flow.task(dependent).planned).get(seq, False)
        for seq in tasks
        for dependent in flow.dependents[seq]
        if dependent not in tasks and not flow.task(dependent).has_ended
    )


def _again(asked: Asked, flow: FlowState, retrying: set[int]) -> set[int]:
    """All that waits from the start again, whether it ran or not."""
    again = _selected(asked, flow, retrying) or set[int]()
    left = list(again)
    while left:
        seq = left.pop()
        for dependent in flow.dependents[seq]:
            used = (
                flow.task(seq).has_ended
                and seq in reads_of(flow.task(dependent).planned)
                and (
                    _status(flow, dependent) in (Status.FINISH, Status.SUSPEND)
                    or maps_expected.began_with(flow, dependent, seq)
                )
                and rules_expected.uses(flow, dependent, seq)
            )
            used = used or rules_expected.cleaned_up_behind(flow, dependent, seq)
            used = used or rules_expected.failed_in_branch_of(flow, dependent, seq)
            if dependent not in again and (
                asked.scope == "dependents" or (asked.scope in ("", "changed") and used)
            ):
                again.add(dependent)
                left.append(dependent)
        if not left:
            again |= _retrying_behind(flow, again, retrying)
            more = rules_expected.opened(flow, again) | _anew(asked, flow, again)
            left = list(more - again)
            again.update(left)
    return again


def _retrying_behind(flow: FlowState, again: set[int], retrying: set[int]) -> set[int]:
    """What waits for a retry that began on a result which goes."""
    return {
        dependent
        for seq in again
        if flow.task(seq).has_ended or (flow.ruled and _status(flow, seq) is Status.SUSPEND)
        for dependent in retrying.intersection(flow.dependents[seq])
        if rules_expected.uses(flow, dependent, seq)
    }


def _rerun(asked: Asked, flow: FlowState, retrying: set[int]) -> set[int] | None:
    again = _again(asked, flow, retrying)
    if not again:
        return None
    gone = _gone(asked, flow, again)
    if any(_status(flow, seq) is Status.RUNNING for seq in gone):
        return None
    anew = _anew(asked, flow, again)
    again -= gone
    named: set[int] = set() if isinstance(asked.tasks, str) else set(asked.tasks)
    if named & rules_expected.would_pass(flow, again):
        return None
    brings_rules = any(
        _has_other_body(asked, flow, seq) and TaskRules.of(other_body(flow, seq) or flow.task(seq).planned)
        for seq in again
    )
    if _stays_given_up(flow, again, gone) and not brings_rules:
        return None
    if rules_expected.not_needed(flow, again):
        return None
    if flow.is_ending and again - rules_expected.spared(flow):
        return None
    for seq in again:
        if _status(flow, seq) is Status.RUNNING:
            return None
        if flow.task(seq).has_ended or (flow.ruled and _status(flow, seq) is Status.SUSPEND):
            behind = {
                _status(flow, other)
                for other in flow.dependents[seq]
                if other not in again
                and rules_expected.uses(flow, other, seq)
                and flow.task(other).planned.along != seq
            }
            if Status.RUNNING in behind or (asked.scope == "" and Status.FINISH in behind):
                return None
    named = named if asked.with_message else set[int]()
    named |= {seq for seq in again if _has_other_body(asked, flow, seq)}
    ran = {
        seq
        for seq in again
        if _status(flow, seq) is not Status.WAIT or flow.task(seq).attempt or seq in named | anew
    }
    return ran or None


def _selected(asked: Asked, flow: FlowState, retrying: set[int]) -> set[int] | None:
    everything = [seq for seq in range(1, len(flow.tasks) + 1) if not maps_expected.vanished(flow, seq)]
    if asked.tasks == "all":
        return set(everything)
    if asked.tasks == "failed":
        was_cut_off = flow.ended_ms is not None and (flow.cancelled or flow.ending)
        cut_off = {seq for seq in everything if was_cut_off and flow.task(seq).ended_as == "c"}
        return {seq for seq in everything if _status(flow, seq) is Status.SUSPEND} | cut_off
    if not set(everything).issuperset(asked.tasks):
        return None
    waits = {
        seq
        for seq in asked.tasks
        if not maps_expected.items(flow, seq)
        and _status(flow, seq) is Status.WAIT
        and seq not in retrying
        and not _has_other_body(asked, flow, seq)
    }
    changed = {seq for seq in asked.tasks if asked.with_message or _has_other_body(asked, flow, seq)}
    found = maps_expected.with_items_along(flow, set(asked.tasks), changed)
    return None if waits and not asked.with_message else found


def _gone(asked: Asked, flow: FlowState, again: set[int]) -> set[int]:
    """Items that vanish with a rerun."""
    return maps_expected.gone(flow, again, _named_maps(asked, flow, again))


def _anew(asked: Asked, flow: FlowState, again: set[int]) -> set[int]:
    """Maps that are expanded anew."""
    return maps_expected.anew(flow, again, _named_maps(asked, flow, again))


def _named_maps(asked: Asked, flow: FlowState, again: set[int]) -> set[int]:
    named = again if asked.tasks == "all" else set[int]() if asked.tasks == "failed" else set(asked.tasks)
    changed = {seq for seq in again if _has_other_body(asked, flow, seq)}
    return {seq for seq in named if asked.with_message or not flow.task(seq).planned.along} | changed


def _unignore(tasks: list[int], flow: FlowState, retrying: set[int]) -> set[int] | None:
    for seq in tasks:
        if _status(flow, seq) is not Status.IGNORE or (
            flow.task(seq).ended_as != "p" and (flow.ruled or maps_expected.vanished(flow, seq))
        ):
            return None
    again = set(tasks) | rules_expected.opened_by_unignore(flow, set(tasks))
    if flow.is_ending and again - rules_expected.spared(flow):
        return None
    if _stays_given_up(flow, set(tasks), set()):
        return None
    if rules_expected.not_needed(flow, again):
        return None
    for seq in again:
        for dependent in flow.dependents[seq]:
            has_begun = maps_expected.began_with(flow, dependent, seq) or dependent in retrying
            has_begun = has_begun or _status(flow, dependent) not in (Status.WAIT, Status.IGNORE)
            if has_begun and rules_expected.uses(flow, dependent, seq):
                return None
    return set(tasks)


def _stays_given_up(flow: FlowState, again: set[int], gone: set[int]) -> bool:
    """Whether one of these tasks would start behind one that is given up, though its rule is `ready`."""
    given_up = {task.planned.seq for task in flow.tasks if task.ended_as == "x"} - again - gone
    return not flow.ruled and any(given_up.intersection(flow.task(seq).planned.depends_on) for seq in again)


def _status(flow: FlowState, seq: int) -> Status:
    return flow.task(seq).status
