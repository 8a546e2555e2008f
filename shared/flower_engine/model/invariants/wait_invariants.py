"""What Redis holds of tasks that wait for the world, and of signals, is what the fold of its log says."""

from collections.abc import Iterator, Mapping, Set

from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.invariants.partition_state import LiveFlow, LiveSignal, LiveState, LiveTask
from flower_engine.model.values.key_parts import escape
from flower_engine.model.waits.wait_parameters import DECISION, MAP, RETURNS
from flower_engine.model.waits.wait_programs import MOST_SIGNALS, Awaited, has_type, takes_signal, wait_text


def flow_wait_differences(where: str, task: TaskState, held: LiveTask) -> Iterator[str]:
    """Where a task awaits something else than its events say."""
    wait = wait_text(task.planned)
    if held.wait != wait:
        yield f"{where}: it is to wait for {held.wait!r}, its events say {wait!r}"
    awaits = task.awaiting is not None and task.is_awaiting
    expected = Awaited.of(task.planned, task.awaiting.until_ms).text if awaits and task.awaiting else ""
    if task.child:
        expected = Awaited.of(task.planned, 0).text
    if held.awaited != expected:
        yield f"{where}: it awaits {held.awaited!r}, its events say {expected!r}"
    votes = (task.votes or ()) if awaits else ()
    if held.votes != votes:
        yield f"{where}: {held.votes} have answered it, its events say {votes}"


def signal_differences(flow: FlowState, held: LiveFlow) -> Iterator[str]:
    """Where a flow keeps other signals than its events say, or one lies there that a task awaits."""
    kept = tuple(LiveSignal(escape(one.name), escape(one.key), one.id) for one in flow.signals.values())
    if held.signals != kept:
        yield f"flow {flow.flow}: it keeps the signals {held.signals}, its events say {kept}"
    if set(held.signal_ids) != flow.signal_ids:
        yield f"flow {flow.flow}: it got signals {held.signal_ids}, its events say {flow.signal_ids}"
    if held.signals_got > min(len(flow.signal_ids), MOST_SIGNALS):  # fewer: a version before counted none
        yield f"flow {flow.flow}: it counts {held.signals_got} signals, and got {len(flow.signal_ids)}"
    typed = {task.planned.seq for task in flow.tasks if has_type(task.planned)}
    if not typed <= held.typed:
        yield f"flow {flow.flow}: {sorted(held.typed)} take signals of a type, its events say {sorted(typed)}"
    for signal in flow.signals.values():
        for task in flow.tasks:
            if task.is_awaiting and takes_signal(task.planned, signal.name, signal.key):
                where = f"flow {flow.flow} task {task.planned.seq}"
                yield f"{where}: it awaits signal {signal.id!r}, which is kept"


def wait_differences(flows: Mapping[str, FlowState], live: LiveState, damaged: Set[str]) -> Iterator[str]:
    """Where signals find other tasks than those that await them, or others are evaluated than are to be."""
    expected: set[str] = set()
    undecided: set[str] = set()
    for flow in flows.values():
        if flow.flow not in live.flows:
            continue
        for task in flow.tasks:
            if task.is_awaiting and task.awaiting is not None and task.awaiting.kind == "event":
                expected.add(Awaited.of(task.planned, 0).member(flow.flow, task.planned.seq))
            elif task.is_awaiting and task.planned.program in (DECISION, MAP, RETURNS):
                undecided.add(f"{flow.flow}:{task.planned.seq}")
    found = {member for member in live.waits if member.rpartition(" ")[2][:36] not in damaged}
    if found != expected:
        yield f"signals find {sorted(found)}, tasks await {sorted(expected)}"
    due = {member for member in live.decide if member[:36] not in damaged}
    if due != undecided:
        yield f"to be decided are {sorted(due)}, tasks await {sorted(undecided)}"
    if live.decisions != len(live.decide):
        yield f"{live.decisions} decisions are counted, {len(live.decide)} are to be made"
