"""Where the tasks of a flow stand when it is drawn: layers from left to right, with few edges that cross.

A task's layer is the longest way to it; inside of a layer tasks are sorted by the middle of their neighbours,
in sweeps to and fro (barycentres). Edges that pass layers do so in lanes of their own, between the boxes.
It is linear in tasks and edges but for the sorting.
"""

from collections.abc import Sequence

import msgspec

_SWEEPS = 4  # to the right and back
_LANE = 0.4  # of a row is what a lane takes
_LANE_NODES, _LEAST_LANE_NODES = 2, 1_000  # for each task, so that it stays linear in these


class DagLayout(msgspec.Struct, frozen=True, rename="camel"):
    """Of each task, by number: its layer (-1: an item of a map, which is not drawn), and its row,
    which may be negative or lie between two whole ones.
    ``edges``: pairs of numbers, from a dependency to what waits for it, one behind the other.

    Edges of a task that pass layers share one lane past the boxes there: that of ``lane_task[n]`` is at the
    rows ``lane_row[lane_from[n]:lane_from[n + 1]]``, in the layers behind that of the task. Where there are
    too many, the longest have none, and are drawn straight."""

    layers: int
    layer: list[int]
    row: list[float]
    edges: list[int]
    lane_task: list[int]
    lane_from: list[int]
    lane_row: list[float]


def lay_out(depends_on: Sequence[Sequence[int]]) -> DagLayout:
    """The layout of tasks 1..n that depend on these, which come to no circle."""
    count = len(depends_on)
    dependents: list[list[int]] = [[] for _ in range(count)]
    for seq, on in enumerate(depends_on):
        for one in on:
            dependents[one - 1].append(seq)
    befores = [[one - 1 for one in on] for on in depends_on]
    layer = _layers(befores, dependents)
    lanes = _lanes(befores, dependents, layer)
    layers: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for seq in _in_depth_order(befores, dependents):
        layers[layer[seq]].append(seq)
    place = [0.0] * len(layer)
    size = [1.0] * count + [_LANE] * (len(layer) - count)
    for row in layers:
        _number(row, place, size)
    for _ in range(_SWEEPS):
        for row in layers[1:]:
            _sort(row, befores, place, size)
        for row in reversed(layers[:-1]):
            _sort(row, dependents, place, size)
    edges = [end for seq, on in enumerate(depends_on) for one in on for end in (one, seq + 1)]
    lane_from = [0]
    for first, end in lanes.values():
        lane_from.append(lane_from[-1] + end - first)
    return DagLayout(
        len(layers),
        layer[:count],
        place[:count],
        edges,
        [seq + 1 for seq in lanes],
        lane_from,
        [place[node] for first, end in lanes.values() for node in range(first, end)],
    )


def _lanes(
    befores: list[list[int]], dependents: list[list[int]], layer: list[int]
) -> dict[int, tuple[int, int]]:
    """Adds a node to each layer that edges of a task pass, and leads these through them: the graph then has
    only edges from a layer to the next. By task, which nodes are its."""
    count = len(befores)
    spans = [
        (max((layer[one] for one in dependents[seq]), default=0) - layer[seq] - 1, seq)
        for seq in range(count)
    ]
    left = max(_LEAST_LANE_NODES, _LANE_NODES * count)
    lanes: dict[int, tuple[int, int]] = {}
    for span, seq in sorted(spans):
        if span < 1:
            continue
        left -= span
        if left < 0:
            break
        first = len(befores)
        lanes[seq] = first, first + span
        for step in range(span):
            befores.append([first + step - 1 if step else seq])
            dependents.append([first + step + 1] if step + 1 < span else [])
            layer.append(layer[seq] + 1 + step)
        near = [one for one in dependents[seq] if layer[one] == layer[seq] + 1]
        for one in dependents[seq]:
            passed = layer[one] - layer[seq] - 1
            if passed:
                node = first + passed - 1
                befores[one][befores[one].index(seq)] = node
                dependents[node].append(one)
        dependents[seq] = [*near, first]
    return lanes


def _layers(befores: Sequence[Sequence[int]], dependents: Sequence[Sequence[int]]) -> list[int]:
    left = [len(on) for on in befores]
    layer = [0] * len(befores)
    ready = [seq for seq, open_ones in enumerate(left) if not open_ones]
    while ready:
        seq = ready.pop()
        behind = layer[seq] + 1
        for dependent in dependents[seq]:
            layer[dependent] = max(layer[dependent], behind)
            left[dependent] -= 1
            if not left[dependent]:
                ready.append(dependent)
    return layer


def _in_depth_order(befores: Sequence[Sequence[int]], dependents: Sequence[Sequence[int]]) -> list[int]:
    """Depth first from the roots: branches begin beside each other, not mixed."""
    order: list[int] = []
    seen = [False] * len(befores)
    for root, on in enumerate(befores):
        if on or seen[root]:
            continue
        seen[root] = True
        stack = [root]
        while stack:
            seq = stack.pop()
            order.append(seq)
            for dependent in reversed(dependents[seq]):
                if not seen[dependent]:
                    seen[dependent] = True
                    stack.append(dependent)
    return order


def _sort(
    row: list[int], neighbours: Sequence[Sequence[int]], place: list[float], size: Sequence[float]
) -> None:
    """By the middle of the neighbours; what has none keeps its place among the others."""
    middle = {
        seq: sum([place[one] for one in near]) / len(near) if (near := neighbours[seq]) else place[seq]
        for seq in row
    }
    row.sort(key=middle.__getitem__)
    _number(row, place, size)


def _number(row: Sequence[int], place: list[float], size: Sequence[float]) -> None:
    """Around the middle line, which all layers share."""
    at = -sum([size[seq] for seq in row]) / 2
    for seq in row:
        place[seq] = at + size[seq] / 2
        at += size[seq]
