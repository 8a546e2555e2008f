"""The invariants of trees of flows: children are those of the tasks that await them, and each knows how the
other stands, or somebody is to look at it."""

from collections.abc import Iterator, Mapping, Set

from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.invariants.partition_state import LiveFlow, LiveState
from flower_engine.model.tasks.status import Status


def tree_differences(flows: Mapping[str, FlowState], live: LiveState, damaged: Set[str]) -> Iterator[str]:
    """Each way in which trees in Redis are not as the events of their flows say."""
    noted = {member[:36] + member[36:].rstrip("?pry") for member in live.tree}
    excused = damaged | {child for children in live.outside.values() for child in children}
    for flow in flows.values():
        held = live.flows.get(flow.flow)
        if held is None or flow.flow in damaged:
            continue
        text = "" if flow.parent is None else flow.parent.text
        if held.of_parent != text:
            yield f"flow {flow.flow}: it is the child of {held.of_parent!r}, its events say {text!r}"
        yield from _of_tasks(flow, flows, live, noted, excused)
        if flow.parent is not None and f"{flow.flow}:0" not in noted and flow.parent.flow not in damaged:
            yield from _of_child(flow, held, flows)


def _of_tasks(
    flow: FlowState, flows: Mapping[str, FlowState], live: LiveState, noted: Set[str], damaged: Set[str]
) -> Iterator[str]:
    """Whoever awaits a child has one that goes on, or one is to begin."""
    for task in flow.tasks:
        seq = task.planned.seq
        if task.awaits_end and f"{flow.flow}:{seq}" not in noted:
            attempts = range(1, task.attempt + 1)
            if not any(child_flow_id(flow.flow, seq, one) in live.flows for one in attempts):
                yield f"flow {flow.flow} task {seq}: it waits for the end of its child, which is not there"
        if not task.child or task.status is not Status.WAIT:
            continue
        child = child_flow_id(flow.flow, seq, task.child)
        if f"{flow.flow}:{seq}" in noted or child in damaged or f"{child}:0" in noted:
            continue
        if child not in live.flows:
            ended = child in flows and flows[child].ended_ms is not None
            yield (
                f"flow {flow.flow} task {seq}: it awaits flow {child}, which"
                f" {'has ended' if ended else 'is not there'}, and nobody is to look at that"
            )


def _of_child(flow: FlowState, held: LiveFlow, flows: Mapping[str, FlowState]) -> Iterator[str]:
    """A child that is under way is awaited, and the task that does so knows whether it goes on."""
    parent = flow.parent
    assert parent is not None
    goes_on = _goes_on(flow, held.flags)
    if ("K" in held.flags) == goes_on or ("k" in held.flags) != goes_on:
        yield f"flow {flow.flow}: its flags are {held.flags!r}; it goes on: {goes_on}"
    of = flows.get(parent.flow)
    if of is None:
        return
    task = of.task(parent.task) if of.ended_ms is None and parent.task <= len(of.tasks) else None
    if task is None or task.child != parent.attempt:
        if flow.is_ending:  # it was cancelled, and cleans up
            return
        yield f"flow {flow.flow} goes on, and task {parent.task} of flow {parent.flow} does not await it"
    elif goes_on == (task.status is Status.SUSPEND):
        yield (
            f"flow {flow.flow}: it goes on: {goes_on}; task {parent.task} of flow {parent.flow}, which awaits"
            f" it, is {task.status.word}"
        )


def _goes_on(flow: FlowState, flags: str) -> bool:
    return "n" in flags or any(task.status is Status.RUNNING or task.is_ready for task in flow.tasks)
