"""The invariants of schedules: what Redis holds of them is what their events and those of their flows say."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set

from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.schedule_state import FIRED, HELD, ScheduleState
from flower_engine.model.invariants.partition_state import LiveState
from flower_engine.model.tasks.status import Status


def schedule_differences(
    schedules: Mapping[str, ScheduleState],
    flows: Mapping[str, FlowState],
    live: LiveState,
    damaged: Set[str] = frozenset(),
) -> Iterator[str]:
    """Each way in which Redis, or the flows that schedules fired, differ from what became of their slots.

    ``flows`` are those that are known: of others nothing is said; nor of ``damaged`` ones.
    """
    for uid, schedule in schedules.items():
        yield from _schedule(uid, schedule, live)
    for unknown in live.schedules.keys() - schedules.keys():
        yield f"schedule {unknown} is in Redis, but no event tells of it"
    for unknown in live.due.keys() - live.schedules.keys():
        yield f"schedule {unknown} is due, but not in Redis"
    yield from _fired(schedules, flows, damaged)
    yield from _under_way(flows, live, damaged)


def _schedule(uid: str, schedule: ScheduleState, live: LiveState) -> Iterator[str]:
    held = live.schedules.get(uid)
    if held is None or schedule.state == "deleted":
        if (held is None) != (schedule.state == "deleted"):
            yield f"schedule {uid} is {schedule.state} by its events; in Redis: {held}"
        return
    waiting = max((slot for (slot, _), fate in schedule.fates.items() if fate.state == HELD), default=None)
    expected = (schedule.version, schedule.cursor, schedule.state, waiting)
    found = (held.version, held.cursor, held.state, held.held)
    if not held.version:
        found = (schedule.version, held.cursor, schedule.state, held.held)
    if expected != found:
        yield f"schedule {uid}: (version, cursor, state, held slot) is {found}, its events say {expected}"
    if held.failures < 0:
        yield f"schedule {uid}: {held.failures} failures"
    if held.state in ("active", "paused") and uid not in live.due:
        yield f"schedule {uid} is {held.state}, and nobody is to look at it"


def _fired(
    schedules: Mapping[str, ScheduleState], flows: Mapping[str, FlowState], damaged: Set[str]
) -> Iterator[str]:
    """Each slot that fired has one flow, and each flow of a schedule is that of a slot that fired."""
    by_slot: dict[tuple[str, int], list[str]] = defaultdict(list)
    for flow in flows.values():
        if flow.registered.schedule:
            by_slot[flow.registered.schedule, flow.registered.slot].append(flow.flow)
    for uid, schedule in schedules.items():
        for fate in schedule.fates.values():
            known = flows.get(fate.flow)
            if fate.state != FIRED or fate.flow in damaged or known is None:
                continue
            if (known.registered.schedule, known.registered.slot) != (uid, fate.slot):
                yield f"schedule {uid}: slot {fate.slot} fired flow {fate.flow}, which is of another"
    for (uid, slot), found in by_slot.items():
        fates = schedules[uid].fates if uid in schedules else {}
        told = {fate.flow for (of, _), fate in fates.items() if of == slot and fate.state == FIRED}
        if len(found) > 1 or not told.issuperset(found):
            yield f"schedule {uid}: slot {slot} has the flows {found}; its events say {sorted(told)}"


def _under_way(flows: Mapping[str, FlowState], live: LiveState, damaged: Set[str]) -> Iterator[str]:
    for uid, held in live.slots_under_way.items():
        for flow_id, slot in held.items():
            flow = flows.get(flow_id)
            if flow is None or flow_id in damaged:
                continue
            if flow.ended_ms is not None:
                yield f"schedule {uid}: flow {flow_id} has ended, and is said to be under way"
            elif flow.registered.slot != abs(slot):
                yield f"schedule {uid}: flow {flow_id} is of slot {flow.registered.slot}, not {slot}"
            elif (live_flow := live.flows.get(flow_id)) is not None:
                says = "S" in live_flow.flags
                if says != (slot < 0) or says == _goes_on(flow, live_flow.flags):
                    yield (
                        f"schedule {uid}: flow {flow_id} has score {slot} and flags {live_flow.flags!r};"
                        f" it goes on: {_goes_on(flow, live_flow.flags)}"
                    )
    for flow_id, live_flow in live.flows.items():
        if live_flow.of_schedule and flow_id not in damaged:
            uid = live_flow.of_schedule.partition(" ")[0]
            if uid in live.schedules and flow_id not in live.slots_under_way.get(uid, {}):
                yield f"schedule {uid}: flow {flow_id} is under way, and its schedule does not know"


def _goes_on(flow: FlowState, flags: str) -> bool:
    return "n" in flags or any(task.status is Status.RUNNING or task.is_ready for task in flow.tasks)
