"""Flows that a state machine has compared, and that stand as they stood then, are not compared again."""

from collections.abc import Iterator, Set

import msgspec

from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.invariants.invariants import flow_differences
from flower_engine.model.invariants.partition_state import LiveFlow

_as_bytes = msgspec.msgpack.Encoder().encode


class ComparedFlows:
    """Says what ``flow_differences`` does. Most steps of a machine change one flow, or none, and of the
    others the same would be found as after the step before: it depends on nothing but what is given."""

    def __init__(self) -> None:
        self._fit: dict[str, bytes] = {}

    def differences(
        self, flow: FlowState, held: LiveFlow, releasing: Set[int], is_timed: bool
    ) -> Iterator[str]:
        stands = _as_bytes((flow, held, sorted(releasing), is_timed))
        if self._fit.get(flow.flow) == stands:
            return
        found = list(flow_differences(flow, held, releasing, is_timed))
        if not found:
            self._fit[flow.flow] = stands
        yield from found
