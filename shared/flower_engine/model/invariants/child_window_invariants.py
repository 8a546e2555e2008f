"""The invariants of windows of maps whose items other flows do: no more children go on than such a window
lets, and none waits for a place while there is one."""

from collections.abc import Iterator, Mapping, Set

from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.flow_control.limits import limit_of_window
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.invariants.partition_state import LiveState
from flower_engine.model.tasks.status import Status


def child_window_differences(
    flows: Mapping[str, FlowState], live: LiveState, damaged: Set[str]
) -> Iterator[str]:
    """Each way in which the places of children differ from how they and their parents stand."""
    for name in live.inside.keys() | live.outside.keys():
        yield from _of_window(name, flows, live, damaged)
    for name, held in live.flows.items():
        window = held.of_parent.split(" ")[4:]
        if not window or name in damaged:
            continue
        has_place = name in live.inside.get(window[0], {})
        waits = name in live.outside.get(window[0], {})
        expected = (False, True) if waits else ("z" not in held.flags, False)
        if (has_place, waits) != expected or (waits and "n" not in held.flags) or "v" not in held.flags:
            yield (
                f"flow {name} (flags {held.flags!r}): (has a place, awaits one) in window {window[0]} is"
                f" {(has_place, waits)}, not {expected}"
            )
    for flow in flows.values():
        if flow.flow in live.flows and flow.flow not in damaged:
            yield from _of_items(flow, live)


def _of_window(
    name: str, flows: Mapping[str, FlowState], live: LiveState, damaged: Set[str]
) -> Iterator[str]:
    window = Window.parse(name)
    if window is None or window.most is None:
        yield f"window {name} has places for children, and is none of a map that has a limit"
        return
    inside, outside = live.inside.get(name, {}), live.outside.get(name, {})
    if len(inside) > window.most:
        yield f"{len(inside)} children have a place in window {name}, and {window.most} may"
    if outside and len(inside) < window.most and limit_of_window(name) not in live.admitting:
        yield f"{len(outside)} children wait for a place in window {name}, which has {len(inside)} inside"
    parent = flows.get(window.flow)
    for child, item in (*inside.items(), *outside.items()):
        if child in live.flows:
            if live.flows[child].of_parent.split(" ")[4:] != [name]:
                yield f"flow {child} is counted in window {name}, and is not of it"
        elif window.flow not in damaged:
            task = None
            if parent is not None and window.flow in live.flows and item <= len(parent.tasks):
                task = parent.tasks[item - 1]
            if task is None or not task.child or child_flow_id(window.flow, item, task.child) != child:
                yield f"flow {child} is counted in window {name}, and neither goes on nor is to begin"


def _of_items(flow: FlowState, live: LiveState) -> Iterator[str]:
    """Whoever awaits a child that has not begun has a place for it, or waits for one, or is looked at."""
    for task in flow.tasks:
        window = Window.parse(task.planned.window) if task.child and task.planned.window else None
        if window is None or window.most is None or task.status is not Status.WAIT:
            continue
        child = child_flow_id(flow.flow, task.planned.seq, task.child)
        name = task.planned.window
        is_noted = not live.tree.isdisjoint(
            {f"{flow.flow}:{task.planned.seq}", f"{flow.flow}:{task.planned.seq}?"}
        )
        if child in live.flows or f"{flow.flow}:{task.planned.seq}?" in live.tree:
            continue
        waits = child in live.outside.get(name, {})
        if waits == (child in live.inside.get(name, {})):
            yield (
                f"flow {flow.flow} task {task.planned.seq}: its child {child} neither has a place in window"
                f" {name} nor awaits one, or both"
            )
        elif waits and is_noted:
            yield f"flow {flow.flow} task {task.planned.seq}: it waits for a place, and its child is to begin"
