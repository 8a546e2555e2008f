"""A graph as it is drawn: nothing lies on anything else, and edges pass layers between the boxes."""

import random
from collections import defaultdict
from itertools import pairwise

import pytest

from flower_engine.model.definitions.dag_layout import DagLayout, lay_out

LANE = 0.4


def places(layout: DagLayout) -> dict[int, list[tuple[float, float]]]:
    """By layer: from where to where boxes and lanes lie."""
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for layer, row in zip(layout.layer, layout.row, strict=True):
        found[layer].append((row - 0.5, row + 0.5))
    for task, first, end in zip(layout.lane_task, layout.lane_from, layout.lane_from[1:], strict=False):
        for step, row in enumerate(layout.lane_row[first:end], start=1):
            found[layout.layer[task - 1] + step].append((row - LANE / 2, row + LANE / 2))
    return found


def graph(seed: int, count: int) -> list[tuple[int, ...]]:
    chance = random.Random(seed)
    return [
        tuple(sorted({chance.randrange(1, seq) for _ in range(chance.randrange(3))})) if seq > 1 else ()
        for seq in range(1, count + 1)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_no_two_boxes_or_lanes_of_a_layer_overlap(seed: int) -> None:
    for layer in places(lay_out(graph(seed, 60))).values():
        ordered = sorted(layer)
        for (_, end), (begin, _) in pairwise(ordered):
            assert begin >= end - 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_every_edge_that_passes_layers_has_a_lane_as_far_as_it_goes(seed: int) -> None:
    layout = lay_out(graph(seed, 60))
    spans = {
        task: end - first
        for task, first, end in zip(layout.lane_task, layout.lane_from, layout.lane_from[1:], strict=False)
    }
    ends = list(zip(layout.edges[::2], layout.edges[1::2], strict=True))
    assert ends
    for one, other in ends:
        passed = layout.layer[other - 1] - layout.layer[one - 1] - 1
        assert passed >= 0
        assert spans.get(one, 0) >= passed


def test_where_lanes_would_be_very_many_the_longest_edges_have_none() -> None:
    """A chain in which the end waits for every task: lanes for all would be quadratic."""
    count = 1_000
    layout = lay_out([*((seq - 1,) if seq > 1 else () for seq in range(1, count)), tuple(range(1, count))])
    assert layout.layers == count
    assert len(layout.lane_row) <= 2 * count
