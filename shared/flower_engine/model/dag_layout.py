"""Where the tasks of a flow stand when it is drawn: layers from left to right, with few edges that cross.

A task's layer is the longest way to it; inside of a layer tasks are sorted by the middle of their neighbours,
in sweeps to and fro (barycentres). It is linear in tasks and edges but for the sorting.
"""

from collections.abc import Sequence

import msgspec

_SWEEPS = 4  # to the right and back


class DagLayout(msgspec.Struct, frozen=True, rename="camel"):
    """Of each task, by number: its layer, and its row, which may be negative or lie between two whole ones.
    ``edges``: pairs of numbers, from a dependency to what waits for it, one behind the other."""

    layers: int
    layer: list[int]
    row: list[float]
    edges: list[int]


def lay_out(depends_on: Sequence[Sequence[int]]) -> DagLayout:
    """The layout of tasks 1..n that depend on these, which come to no circle."""
    count = len(depends_on)
    dependents: list[list[int]] = [[] for _ in range(count)]
    for seq, on in enumerate(depends_on):
        for one in on:
            dependents[one - 1].append(seq)
    befores = [[one - 1 for one in on] for on in depends_on]
    layer = _layers(befores, dependents)
    layers: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for seq in _in_depth_order(befores, dependents):
        layers[layer[seq]].append(seq)
    place = [0.0] * count
    for row in layers:
        _number(row, place)
    for _ in range(_SWEEPS):
        for row in layers[1:]:
            _sort(row, befores, place)
        for row in reversed(layers[:-1]):
            _sort(row, dependents, place)
    edges = [end for seq, on in enumerate(depends_on) for one in on for end in (one, seq + 1)]
    return DagLayout(len(layers), layer, place, edges)


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


def _sort(row: list[int], neighbours: Sequence[Sequence[int]], place: list[float]) -> None:
    """By the middle of the neighbours; what has none keeps its place among the others."""
    middle = {
        seq: sum([place[one] for one in near]) / len(near) if (near := neighbours[seq]) else place[seq]
        for seq in row
    }
    row.sort(key=middle.__getitem__)
    _number(row, place)


def _number(row: Sequence[int], place: list[float]) -> None:
    """Around the middle line, which all layers share."""
    begin = -(len(row) - 1) / 2
    for index, seq in enumerate(row):
        place[seq] = begin + index
