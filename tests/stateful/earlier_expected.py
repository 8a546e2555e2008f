"""Which items take over what an earlier one came to, from the events of a flow alone: each list of items is
compared with every earlier item, one by one."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import TaskFinished
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.model.events.operator_events import FlowRerun
from flower_engine.model.events.wait_events import TaskAnswered, TaskExpanded


class _Known(NamedTuple):
    """What is known of an item: what it takes, and the item that it goes along."""

    program: str
    parameters: dict[str, Any]
    over: int


class _Maps:
    """The maps of a flow, as its events so far have them."""

    def __init__(self) -> None:
        self._items: dict[int, _Known] = {}
        self._results: dict[int, bytes] = {}
        self._now: dict[int, list[int]] = defaultdict(list)
        self._left: dict[int, list[int]] = defaultdict(list)
        self._matched: set[int] = set()
        self._from: dict[int, int] = {}

    def forked(self, event: FlowRegistered, old: "_Maps") -> None:
        """Maps of a fork are matched with the items that they had."""
        for seq, items in event.earlier.items():
            self._matched.add(seq)
            for one in items:
                known = old._items[-one.seq]
                assert -one.seq in old._now[seq], "it is no item of the map, or has vanished"
                self._items[one.seq] = known._replace(over=-known.over)
                self._results[one.seq] = old._results[-one.seq]
                self._left[seq].append(one.seq)

    def rerun(self, event: FlowRerun) -> None:
        gone, finished = set(event.gone), set(event.gone_finished)
        for seq in event:
            vanishing = [item for item in self._now[seq] if item in gone]
            if self._now[seq] and not vanishing:
                continue
            kept = [*self._left[seq], *(item for item in vanishing if item in finished)]
            self._left[seq] = kept if seq in event.matches else []
            self._matched = self._matched | {seq} if seq in event.matches else self._matched - {seq}
            self._now[seq] = []
        for seq, body in event.bodies.items():
            self._note(seq, body)
        for seq, parameters in event.parameters.items():
            if seq in self._items:
                self._items[seq] = self._items[seq]._replace(parameters=parameters)

    def _note(self, seq: int, planned: PlannedTask) -> None:
        if seq in self._items:
            over = next(iter(planned.reads.values()), 0)
            self._items[seq] = _Known(planned.program, planned.parameters, over)

    def finished(self, seq: int, result: bytes) -> None:
        self._results[seq] = result

    def expanded(self, event: TaskExpanded) -> None:
        expected: dict[int, int] = {}
        for item in event.tasks:
            assert item.item is not None
            of_map = item.item[0]
            known = _Known(item.program, item.parameters, next(iter(item.reads.values()), 0))
            self._items[item.seq] = known
            self._now[of_map].append(item.seq)
            for earlier in self._in_order(of_map) if of_map in self._matched else ():
                if self._is_same(known, self._items[earlier]):
                    self._left[of_map].remove(earlier)
                    self._from[item.seq] = expected[item.seq] = earlier
                    break
        taken = event.taken_by
        assert {seq: one.of for seq, one in taken.items()} == expected
        for seq, one in taken.items():
            assert bytes(one.result) == self._results[one.of]
            self._results[seq] = bytes(one.result)
        self._matched -= {came.task for came in event.maps}

    def _in_order(self, of_map: int) -> list[int]:
        """What is left of earlier items, as their map got them: of the flow it is forked from before its
        own."""
        return sorted(self._left[of_map], key=lambda seq: (seq > 0, abs(seq)))

    def _is_same(self, known: _Known, earlier: _Known) -> bool:
        if (known.program, known.parameters) != (earlier.program, earlier.parameters):
            return False
        if not known.over or not earlier.over:
            return known.over == earlier.over
        return self._from.get(known.over) == earlier.over


def check_taken(events: Iterable[AnyEvent], flow: str) -> None:
    """Every item took over just what it should."""
    of_flows: dict[str, _Maps] = defaultdict(_Maps)
    for event in events:
        maps = of_flows[getattr(event, "flow", "")]
        match event:
            case FlowRegistered():
                maps.forked(event, of_flows[event.forked_from])
            case FlowRerun():
                maps.rerun(event)
            case TaskFinished() | TaskAnswered():
                maps.finished(event.task, bytes(event.result))
            case TaskExpanded():
                maps.expanded(event)
            case _:
                pass
