"""What must be true of trees, maps, waits and decisions when a storm is over."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from chaos.world import Answered, Sent
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.wait_events import FlowSignalled, TaskAnswered
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_programs import takes_signal


def judge_world(
    events: Sequence[AnyEvent], signals: Collection[Sent], answers: Collection[Answered]
) -> Iterator[str]:
    """Each signal that was heard is in the history once, and was taken once at most; each wait was answered
    once, and by the answer that was said to count."""
    came = Counter((one.flow, one.id) for one in events if isinstance(one, FlowSignalled))
    yield from (
        f"signal {one} was acknowledged, and came {came[one]} times" for one in signals if came[one] != 1
    )
    yield from (f"signal {one} came {count} times" for one, count in came.items() if count != 1)
    payloads = {(one.flow, one.id): bytes(one.payload) for one in events if isinstance(one, FlowSignalled)}
    taken, ended = Counter[tuple[str, str]](), Counter[tuple[str, int, int]]()
    for event in events:
        if isinstance(event, TaskAnswered):
            ended[event.flow, event.task, event.attempt] += 1
            if event.signal:
                taken[event.flow, event.signal] += 1
                of = msgspec.json.decode(event.result), payloads.get((event.flow, event.signal), b"null")
                if of[0] != msgspec.json.decode(of[1]):
                    yield f"flow {event.flow} task {event.task} took {of[0]}, and was sent {of[1]!r}"
    yield from (f"signal {one} was taken {count} times" for one, count in taken.items() if count != 1)
    yield from (f"wait {one} ended {count} times" for one, count in ended.items() if count != 1)
    counted = Counter(answers)
    yield from (f"answer {one} counted {count} times" for one, count in counted.items() if count != 1)
    yield from (
        f"answer {one} counted, and its wait ended {ended[one]} times" for one in counted if ended[one] != 1
    )


def judge_kept(events: Sequence[AnyEvent]) -> Iterator[str]:
    """No signal is kept while a task awaits it. The judgement after the storm would not see that: signals are
    sent until nothing waits any more. Whenever a flow gets one, all that was before is done."""
    flows: dict[str, FlowState] = {}
    for event in events:
        flow = flows.get(event.flow) if isinstance(event, FlowSignalled) else None
        if flow is not None:
            yield from (
                f"flow {flow.flow} kept signal {signal.id}, and task {task.planned.seq} awaited it"
                for signal in flow.signals.values()
                for task in flow.tasks
                if task.is_awaiting and takes_signal(task.planned, signal.name, signal.key)
            )
        fold_one(flows, event)


def judge_trees(flows: Mapping[str, FlowState]) -> Iterator[str]:
    """Every child has a parent that had it, and both have ended; what a child did is what its task has; the
    items of a map are those that its list is of."""
    for flow in flows.values():
        if flow.parent is not None:
            yield from _of_child(flow, flows)
        for task in flow.tasks:
            seq = task.planned.seq
            if task.status is not Status.FINISH:
                continue
            if task.planned.program == "@flow" and task.attempt:  # else a fork took it over
                child = flows.get(child_flow_id(flow.flow, seq, task.attempt))
                if child is None or child.status is not Status.FINISH:
                    yield f"flow {flow.flow} task {seq} is Finish, its child {child and child.status.word}"
            if task.planned.items is not None and task.result is not None:
                items = [flow.task(one) for one in numbers_of(task.planned.items)]
                done = [one for one in items if one.status is Status.FINISH]
                listed = msgspec.json.decode(task.result)
                if len(listed) != len(done):
                    yield f"flow {flow.flow} map {seq}: {len(done)} items are Finish, it lists {len(listed)}"


def _of_child(flow: FlowState, flows: Mapping[str, FlowState]) -> Iterator[str]:
    parent = flow.parent
    assert parent is not None
    of = flows.get(parent.flow)
    if of is None or flow.flow != child_flow_id(parent.flow, parent.task, parent.attempt):
        yield f"flow {flow.flow} is the child of {parent}, which has none such"
    elif flow.ended_ms is None:
        yield f"flow {flow.flow} goes on, task {parent.task} of flow {parent.flow} does not await it any more"
    elif of.task(parent.task).attempt < parent.attempt:
        yield f"flow {flow.flow} is of attempt {parent.attempt} of {parent}, which it never had"
