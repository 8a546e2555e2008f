"""The invariants that hold between the fold of a partition's log and what Redis holds.

Written once: tests call it after each step, fault tests at their end. The fold itself (``fold.py``)
refuses logs that break the order of tasks, the fencing of outcomes or the finality of an end.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Set

from flower_engine.model.events.event_meaning import STANDING
from flower_engine.model.events.operator_events import ENDING_FLAGS
from flower_engine.model.flow_control.lanes import lane_of, plain_lane, queue_and_priority, share_of_lane
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.schedule_state import ScheduleState
from flower_engine.model.invariants.child_window_invariants import child_window_differences
from flower_engine.model.invariants.flow_control_invariants import control_differences
from flower_engine.model.invariants.item_invariants import item_differences
from flower_engine.model.invariants.kept_invariants import kept_differences, kept_total_differences
from flower_engine.model.invariants.partition_state import LiveFlow, LiveState, LiveTask
from flower_engine.model.invariants.rule_invariants import rule_differences
from flower_engine.model.invariants.schedule_invariants import schedule_differences
from flower_engine.model.invariants.tree_invariants import tree_differences
from flower_engine.model.invariants.wait_invariants import (
    flow_wait_differences,
    signal_differences,
    wait_differences,
)
from flower_engine.model.tasks.end_kinds import CUT_OFF
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.waits.wait_programs import Awaited, is_wait

_AHEAD_CAP = 1023
_AHEAD = 2**42
PLACES_OF_ITEMS = 6
"""Places that a flow has behind its own tasks: one for each number of digits of its items' numbers."""
_TURNS = 2**47
_AWAITS = "what it awaits"
_DUE = "timer of its retry or its round"


Compare = Callable[[FlowState, LiveFlow, Set[int], bool], Iterator[str]]
"""Says what :func:`flow_differences` does, of the same."""


def differences(
    flows: Mapping[str, FlowState],
    live: LiveState,
    damaged: Set[str] = frozenset(),
    schedules: Mapping[str, ScheduleState] | None = None,
    compare: Compare | None = None,
) -> list[str]:
    """Each way in which Redis differs from the fold of its log, as a sentence naming flow and task; of
    ``damaged`` flows, which have no fold, nothing is said, nor of schedules where none are given.
    ``compare`` looks at each flow alone, in place of :func:`flow_differences`."""
    comparable = {
        flow.flow: flow
        for flow in flows.values()
        if flow.ended_ms is not None
        or (flow.flow in live.flows and len(live.flows[flow.flow].tasks) == len(flow.tasks))
    }
    return [
        *live.unreadable,
        *_flows(flows, live, damaged, compare or flow_differences),
        *_places(comparable, (flows.keys() - comparable.keys()) | damaged, live),
        *_lanes(live),
        *_timers(comparable, live, damaged),
        *control_differences(comparable, live),
        *kept_total_differences(live),
        *wait_differences(comparable, live, damaged),
        *tree_differences(flows, live, damaged),
        *child_window_differences(flows, live, damaged),
        *(() if schedules is None else schedule_differences(schedules, flows, live, damaged)),
    ]


def lane_score(flow: FlowState, task: TaskState) -> int:
    """The score of a task that becomes ready now: flows that are further ahead come first, then those that
    were registered earlier. Items of a flow have their places behind its other tasks, and as many digits of
    their numbers share one: before the next flow there is room for these (:data:`PLACES_OF_ITEMS`)."""
    seq = task.planned.seq
    place = flow.defined + len(str(seq)) if task.is_item else seq
    return (_AHEAD_CAP - min(flow.steps, _AHEAD_CAP)) * _AHEAD + flow.order + place


def _flows(
    flows: Mapping[str, FlowState], live: LiveState, damaged: Set[str], compare: Compare
) -> Iterator[str]:
    releasing: dict[str, set[int]] = defaultdict(set)
    for name, seq in live.releasing:
        releasing[name].add(seq)
    for unknown in (live.flows.keys() | live.ended) - flows.keys() - damaged:
        yield f"flow {unknown} is in Redis but was never registered"
    for flow in flows.values():
        held = live.flows.get(flow.flow)
        if flow.ended_ms is not None:
            if held is not None:
                yield f"flow {flow.flow} has ended but is still under way in Redis"
        elif held is None:
            if flow.may_be_parked:
                continue
            yield f"flow {flow.flow} is under way but not in Redis"
        elif flow.flow in live.ended:
            yield f"flow {flow.flow} is under way but marked as ended"
        else:
            is_timed = f"f:{flow.flow}" in live.timers
            yield from compare(flow, held, releasing.get(flow.flow, frozenset()), is_timed)


def flow_differences(flow: FlowState, held: LiveFlow, releasing: Set[int], is_timed: bool) -> Iterator[str]:
    """Each way in which a flow that is under way differs from its fold, looked at alone: of ``releasing``
    tasks something is left to do behind their end; ``is_timed``: a timer bounds the flow."""
    expected = (flow.version, flow.left, flow.done, flow.order)
    found = (held.version, held.left, held.done, held.order)
    if expected != found:
        yield f"flow {flow.flow}: (version, left, done, order) is {found}, its events say {expected}"
    if held.steps is not None and held.steps != (steps := (flow.defined, flow.steps)):
        yield f"flow {flow.flow}: (tasks registered, steps) is {held.steps}, its events say {steps}"
    yield from _held(flow, held)
    if held.timeout_ms != flow.registered.timeout_ms:
        yield f"flow {flow.flow}: timeout {held.timeout_ms}, its events say {flow.registered.timeout_ms}"
    if held.cleanup_ms != flow.registered.cleanup_ms:
        yield f"flow {flow.flow}: cleanup {held.cleanup_ms}, its events say {flow.registered.cleanup_ms}"
    ending = "" if flow.ending is None else ENDING_FLAGS[flow.ending.cause]
    if set(ENDING_FLAGS.values()).intersection(held.flags) != set(ending):
        yield f"flow {flow.flow}: its flags are {held.flags!r}; its events say that it is ending: {ending!r}"
    if ending and not is_timed:
        yield f"flow {flow.flow}: it is ending, and no timer bounds its cleanup"
    if held.rounds != flow.rounds:
        yield f"flow {flow.flow}: its loops had {held.rounds} rounds, its events say {flow.rounds}"
    again = "" if flow.again is None else f"{flow.again.task} {flow.again.attempt} {flow.again.due_ms}"
    if held.again != again:
        yield f"flow {flow.flow}: its next round is {held.again!r}, its events say {again!r}"
    if len(held.tasks) != len(flow.tasks):
        yield f"flow {flow.flow} has {len(held.tasks)} tasks, its events say {len(flow.tasks)}"
        return
    for task, held_task in zip(flow.tasks, held.tasks, strict=True):
        yield from _task(flow, task, held_task, releasing)
    yield from rule_differences(flow, held, releasing)
    yield from item_differences(flow, held)
    yield from kept_differences(flow, held, releasing)
    yield from signal_differences(flow, held)


def _held(flow: FlowState, held: LiveFlow) -> Iterator[str]:
    """Whether nothing of it may start is what its events say; where lanes are emptied they say nothing."""
    if ("h" in held.flags) != (flow.paused is not None):
        yield f"flow {flow.flow}: its flags are {held.flags!r}; paused by its events: {bool(flow.paused)}"
    if "w" in held.flags and not flow.registered.start_ms:
        yield f"flow {flow.flow}: it waits for its start, but was registered to start at once"
    if "l" in held.flags and set("hwn").union(ENDING_FLAGS.values()).intersection(held.flags):
        yield f"flow {flow.flow}: its flags are {held.flags!r}: its lanes are emptied, and nothing is in them"


def _task(flow: FlowState, task: TaskState, held: LiveTask, releasing: Set[int]) -> Iterator[str]:
    where = f"flow {flow.flow} task {task.planned.seq}"
    has_lease = task.status in (Status.RUNNING, Status.FINISH)
    expected = (task.status, task.attempt, task.lost, task.failures, task.lease if has_lease else "")
    found = (held.status, held.attempt, held.lost, held.failures, held.lease if has_lease else "")
    if expected != found:
        yield f"{where}: (status, attempt, lost, failures, lease) is {found}, its events say {expected}"
    due_ms = task.again_ms if task.retry_ms is None else task.retry_ms
    if held.due_ms is not None and held.due_ms != due_ms:
        yield f"{where}: its retry or its round is due at {held.due_ms}, its events say {due_ms}"
    if held.round != task.round:
        yield f"{where}: it is in round {held.round}, its events say {task.round}"
    lane = lane_of(flow.workflow, task.planned)
    if held.lane != lane and plain_lane(held.lane) != lane:
        yield f"{where}: its lane is {held.lane}, its events say {lane}"
    if TaskPolicy.parse(held.policy) != TaskPolicy.of(task.planned):
        yield f"{where}: its policy is {held.policy!r}, its events say {TaskPolicy.of(task.planned)}"
    yield from flow_wait_differences(where, task, held)
    is_releasing = not releasing.isdisjoint(task.planned.depends_on)
    is_past = flow.is_ending and not flow.ruled and task.status.is_final  # no cleanup: nothing opens again
    is_counted = held.open is not None and task.ended_as != CUT_OFF and not is_past
    if is_counted and held.open != task.open and not is_releasing:
        yield f"{where}: {held.open} open dependencies, its events say {task.open}"


def _places(flows: Mapping[str, FlowState], told: Set[str], live: LiveState) -> Iterator[str]:
    """Invariant 5: every task that is not final is in exactly one place. Of ``told`` flows it is known
    already that nothing fits."""
    places: dict[tuple[str, int], list[str]] = defaultdict(list)
    for lane, waiting in live.lanes.items():
        for entry in waiting:
            places[entry.flow, entry.task].append(f"lane {lane}")
    for queue, leases in live.leases.items():
        for lease in leases:
            places[lease.flow, lease.task].append(f"lease {lease.lease} of {queue} for {lease.worker}")
    for member in live.timers:
        kind, flow_id, *task = member.split(":")
        if kind == "r":
            places[flow_id, int(task[0])].append(_DUE)
    for flow_id, seq in _awaiting(live):
        places[flow_id, seq].append(_AWAITS)
    for flow in flows.values():
        for task in flow.tasks:
            found = places.pop((flow.flow, task.planned.seq), [])
            if found != (expected := _expected_places(flow, task, live)) and expected is not None:
                yield f"flow {flow.flow} task {task.planned.seq} is in {found}, should be in {expected}"
    for (flow_id, seq), found in places.items():
        if flow_id in told:
            continue
        yield f"flow {flow_id} task {seq} does not exist, but is in {found}"


def _awaiting(live: LiveState) -> Iterator[tuple[str, int]]:
    """Tasks that await something of the world, as Redis has it."""
    for flow_id, held in live.flows.items():
        for seq, task in enumerate(held.tasks, start=1):
            if task.awaited and task.status is Status.WAIT:
                yield flow_id, seq


def _expected_places(flow: FlowState, task: TaskState, live: LiveState) -> list[str] | None:
    """None: it may be in its lane or not, because its dependencies are just being released, or its lane is
    emptied, before a round of its flow ends."""
    planned = task.planned
    if task.status is Status.RUNNING:
        return [f"lease {task.lease} of {planned.queue} for {task.worker}"]
    if not task.is_ready:
        return []
    held = live.flows[flow.flow]
    if task.is_awaiting:
        return [_AWAITS]
    if held.tasks[planned.seq - 1].due_ms is not None:
        return [_DUE]
    if set("hwn").intersection(held.flags):
        return []
    if "l" in held.flags:
        return None
    # 0: the roots of a flow, which in a fork are tasks behind what is taken over, too.
    before = (0, *planned.depends_on) if planned.item is None else (0, planned.item[0], *planned.depends_on)
    if any((flow.flow, dependency) in live.releasing for dependency in before):
        return None
    if is_wait(planned.program):
        return [_AWAITS]
    return [f"lane {held.tasks[planned.seq - 1].lane}"]


def _lanes(live: LiveState) -> Iterator[str]:
    """Every lane is where claims look for it, with its best task's score."""
    shares: dict[str, dict[str, int]] = defaultdict(dict)
    for lane, waiting in live.lanes.items():
        share = share_of_lane(lane) + live.aside.get(lane, "")
        shares[share][lane] = min(entry.score for entry in waiting)
    if shares != live.shares:
        yield f"shares are {live.shares}, the lanes say {dict(shares)}"
    ready: dict[str, dict[str, int]] = defaultdict(dict)
    for share in shares:
        name, bar, board = share.partition("|")
        queue, priority = queue_and_priority(name)
        ready[queue + bar + board][name] = priority + 20
    found = {
        queue: {share: score // _TURNS for share, score in held.items()} for queue, held in live.ready.items()
    }
    if ready != found:
        yield f"ready shares are {found} (by rank), the lanes say {dict(ready)}"


def _timers(flows: Mapping[str, FlowState], live: LiveState, damaged: Set[str]) -> Iterator[str]:
    """Timeouts tick for what they are about, and for nothing else. (Those of retries are places.)"""
    in_lanes = {(entry.flow, entry.task) for waiting in live.lanes.values() for entry in waiting}
    expected: set[str] = set()
    for flow in flows.values():
        held = live.flows.get(flow.flow)
        if held is None:
            continue
        fills_lanes = "l" in held.flags and flow.again is None
        expected.update(f"{kind}:{flow.flow}" for kind in "b" * ("w" in held.flags) + "l" * fills_lanes)
        for task in flow.tasks:
            seq = task.planned.seq
            ticking = STANDING[task.status].timers
            if task.planned.timeout_ms and "a" in ticking:
                expected.add(f"a:{flow.flow}:{seq}")
            if task.is_awaiting and "s" in ticking and task.awaiting is not None:
                timer = Awaited.of(task.planned, task.awaiting.until_ms).timer(flow.flow, seq)
                expected.update([timer] if timer else [])
            if task.planned.queue_timeout_ms and "q" in ticking and (flow.flow, seq) in in_lanes:
                expected.add(f"q:{flow.flow}:{seq}")
            if task.gives_up_ms is not None:
                expected.add(f"g:{flow.flow}:{seq}")
    timers = [member for member in live.timers if member.split(":")[1] not in damaged]
    found = {member for member in timers if member[0] not in "rf"}
    if found != expected:
        yield f"timers are {sorted(found)}, should be {sorted(expected)}"
    for member in timers:
        flow_id = member.split(":")[1]
        if member[0] == "f" and flow_id in live.flows and "w" in live.flows[flow_id].flags:
            yield f"timer {member} ticks before its flow has begun"
        held = live.flows.get(flow_id)
        is_bounded = held is not None and (held.timeout_ms or set(ENDING_FLAGS.values()) & set(held.flags))
        if held is None or (member[0] == "f" and not is_bounded):
            yield f"timer {member} is for nothing that is under way"
