"""The invariants of flow control: boards, counters and places are what lanes, leases and flows say."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from flower_engine.model.flow_control.boards import limit_of_board, program_of_board
from flower_engine.model.flow_control.lanes import parse_lane, queue_of
from flower_engine.model.flow_control.limits import (
    LimitValue,
    limit_in,
    limit_of_flows,
    limits_of_lane,
    units_of,
    window_of_limit,
)
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.invariants.partition_state import LiveFlow, LiveState
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.key_parts import escape, unescape


def control_differences(flows: Mapping[str, FlowState], live: LiveState) -> Iterator[str]:
    """Each way in which flow control's keys differ from what they are about."""
    yield from _boards(flows, live)
    yield from _counters(live)
    for flow_id, held in live.flows.items():
        if flow_id in flows:
            yield from _place(flow_id, held, flows[flow_id], live)
    for workflow, waiting in live.line.items():
        most = _most(live, limit_of_flows(unescape(workflow)))
        if workflow not in live.admitting and (most is None or len(live.places.get(workflow, {})) < most):
            yield f"flows {sorted(waiting)} of {workflow} wait for a place, though there are some"
    for where in (live.places, live.line):
        for workflow, members in where.items():
            for unknown in members.keys() - live.flows.keys():
                yield f"flow {unknown} of {workflow} has or awaits a place, but is not under way"


def _boards(flows: Mapping[str, FlowState], live: LiveState) -> Iterator[str]:
    boards: dict[str, set[str]] = defaultdict(set)
    for lane, board in live.aside.items():
        boards[board].add(queue_of(lane))
        if lane not in live.lanes:
            yield f"lane {lane} is set aside ({board}), but holds nothing"
    if boards != live.boards:
        yield f"boards are {live.boards}, the lanes set aside say {dict(boards)}"
    for board, queues in live.boards.items():
        if program_of_board(board) is not None:
            continue
        for queue in queues:
            waits = board in live.open.get(queue, {}) or board in live.reopen.get(queue, {})
            if waits or _is_held(flows, limit_of_board(board)):
                continue
            if _has_room(live, limit_of_board(board), _head_units(live, queue, board)):
                yield f"{board} of queue {queue} is closed, though its limit has room: {live.limits}"


def _head_units(live: LiveState, queue: str, board: str) -> int:
    """The units of the task that is first on a board."""
    ready = live.ready.get(queue + board)
    share = min(ready.items(), key=lambda item: (item[1], item[0]))[0] if ready else ""
    lanes = live.shares.get(share + board)
    if not lanes:
        return sys.maxsize  # it has no head: the boards, shares and lanes say so themselves
    return limits_of_lane(min(lanes.items(), key=lambda item: item[1])[0])[1]


def _most(live: LiveState, name: str) -> int | None:
    limit = limit_in(name, live.limits)
    return None if limit is None else limit.most


def _is_held(flows: Mapping[str, FlowState], name: str) -> bool:
    """Whether it is the limit of a map that is held, because too many of its items were given up."""
    window = window_of_limit(name)
    if window is None or not window.is_tolerant or window.flow not in flows:
        return False
    return flows[window.flow].task(window.map).status is Status.SUSPEND


def _has_room(live: LiveState, name: str, units: int) -> bool:
    limit = limit_in(name, live.limits) or LimitValue()
    if limit.is_paused:
        return False
    most = limit.most
    return most is None or live.running.get(name, 0) + max(1, min(units_of(name, units), most)) <= most


def _counters(live: LiveState) -> Iterator[str]:
    counted: Counter[str] = Counter()
    for leases in live.leases.values():
        for lease in leases:
            flow = live.flows.get(lease.flow)
            if flow is None or lease.task > len(flow.tasks):
                continue
            names, units = limits_of_lane(flow.tasks[lease.task - 1].lane)
            for name in names:
                if _most(live, name) is not None:
                    counted[name] += units_of(name, units)
    if counted != live.running:
        yield f"counters are {live.running}, the leases say {dict(counted)}"
    for name, units in counted.items():
        window = window_of_limit(name)
        if window is not None and units > (window.most or units):
            yield f"{units} items of map {window.map} of flow {window.flow} run, and {window.most} may"


def _place(flow_id: str, held: LiveFlow, flow: FlowState, live: LiveState) -> Iterator[str]:
    lane = parse_lane(held.tasks[0].lane)
    if lane is None:
        yield f"flow {flow_id} task 1 has lane {held.tasks[0].lane!r}, which is no lane's name"
        return
    workflow = escape(lane.workflow)
    has = (flow_id in live.places.get(workflow, {}), flow_id in live.line.get(workflow, {}))
    if "n" in held.flags:
        # In line for the window of a map it is in none for its workflow.
        expected = (False, not any(flow_id in children for children in live.outside.values()))
    elif "w" in held.flags or "z" in held.flags:
        expected = (False, False)
    else:
        expected = (True, False)
    if has != expected:
        yield f"flow {flow_id} (flags {held.flags!r}): (has a place, awaits one) is {has}, not {expected}"
    active = sum(
        task.status is Status.RUNNING or task.is_ready or held.tasks[task.planned.seq - 1].due_ms is not None
        for task in flow.tasks
    )
    is_releasing = any(flow_id == releasing for releasing, _ in live.releasing)
    is_counted = "a" in held.flags or ("n" not in held.flags and {"s", "S"}.intersection(held.flags))
    if is_counted and held.active != active and not is_releasing:
        yield f"flow {flow_id}: {held.active} active tasks are counted, its events say {active}"
    needs_place = {"n", "e", "E"}.isdisjoint(held.flags)
    if "z" in held.flags and active and needs_place:
        yield f"flow {flow_id} gave its place back with {active} active tasks"
