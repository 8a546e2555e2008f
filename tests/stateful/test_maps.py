"""The state machine of the transitions, with maps: items come once, in steps that stop anywhere, doubled and
late."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flower_engine.log.client import send
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_message import message_of
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.maps.earlier_items import EarlierItem
from flower_engine.model.maps.map_expansion import (
    Expansion,
    Follower,
    gathered,
    rules_with_items,
    too_many_failed,
    with_chain,
    with_taken,
)
from flower_engine.model.maps.map_items import Given, element_name, item_like, numbers_of
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.waits.wait_programs import is_wait
from flower_engine.transitions import decision_transitions, expansion_segments
from flower_engine.transitions.decision_transitions import (
    MapRead,
    Undecided,
    decide,
    due_decisions,
    expand,
)
from flower_engine.transitions.expansion_segments import segments_of
from flower_engine.transitions.operator_transitions import read_messages
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.task_fields import decode_message
from scripts.small_steps import in_small
from stateful import expectations
from stateful.earlier_expected import check_taken
from stateful.machines import RuledTransitions, run_machine
from stateful.plans import RETRY

pytestmark = pytest.mark.hypothesis
LONG_AGO = re.compile(rb"^((?:\S+ ){4})\d+")  # of what is noted of items that were sent: all before when


def _task(seq: int, *reads: int, **more: Any) -> PlannedTask:
    body: dict[str, Any] = {
        "program": "B",
        "parameters": {f"p{other}": {"$from": other, "default": 0} for other in reads},
        "reads": {str(other): other for other in reads},
        "refs": bool(reads),
        "depends_on": tuple(sorted({*reads, *more.pop("after", ())})),
    }
    return PlannedTask(seq=seq, task_seq=seq, **{**body, **more})


def _map(seq: int, *reads: int, **more: Any) -> PlannedTask:
    over: Any = {"$from": reads[0]} if reads else [1, 2]
    parameters = {"over": over, "program": "AB"[seq % 2], "as": "n"}
    return _task(seq, *reads, **{"program": "@map", "parameters": parameters, **more})


def _bounded(seq: int, *reads: int, on_failure: str = "hold", **bounds: Any) -> PlannedTask:
    """A map of which so many items run at once, or so many may be given up."""
    task = _map(seq, *reads, on_failure=on_failure)
    return msgspec.structs.replace(task, parameters={**task.parameters, **bounds})


def _along(seq: int, over: int, on_failure: str = "hold", **bounds: Any) -> PlannedTask:
    """A map whose items go along those of another one."""
    parameters = {
        **{"over": {"$from": over}, "program": "AB"[seq % 2], "as": "n", "aligned": True},
        **bounds,
    }
    reads = {str(over): over}
    more: dict[str, Any] = {"parameters": parameters, "reads": reads, "refs": True, "after": (over,)}
    return _task(seq, program="@map", on_failure=on_failure, **more)


PLANS = (
    FlowPlan("a window", (_task(1), _bounded(2, 1, limit=1), _task(3, 2))),
    FlowPlan(
        "tolerant",
        (_bounded(1, tolerate=0), _bounded(2, tolerate=0.5, limit=2), _task(3, 1, 2, rule="settled")),
    ),
    FlowPlan("over a result", (_task(1), _map(2, 1, retry=RETRY), _task(3, 2)), timeout_ms=600_000),
    FlowPlan("chain", (_map(1), _map(2, 1), _task(3, 2, 1), _task(4, after=(1,)))),
    FlowPlan("side by side", (_task(1), _map(2, 1, retry=RETRY), _map(3, 1), _bounded(4, 1, limit=1))),
    FlowPlan(
        "failures of items",
        (
            _map(1, on_failure="give_up"),
            _bounded(2, 1, tolerate=0.5, limit=1, on_failure="hold:60"),
            _map(3, on_failure="pass", stand_in=[7]),
            _task(4, 2, 3, rule="settled"),
            _task(5, 1, rule="failed"),
        ),
    ),
    FlowPlan(
        "ruled maps",
        (
            _task(1, on_failure="give_up"),
            _map(2, 1, rule="settled"),
            _map(3, after=(1,), rule="finished"),
            _task(4, 2, 3, rule="any"),
            _task(5, 2, rule="failed", on_failure="hold:60"),
        ),
    ),
)


CHAINS = (
    FlowPlan("aligned", (_map(1), _along(2, 1), _along(3, 2), _task(4, 3, 1))),
    FlowPlan("aligned, behind a task", (_task(1), _map(2, 1), _along(3, 2), _along(4, 2), _task(5, 4))),
    FlowPlan(
        "aligned by rules",
        (
            _bounded(1, tolerate=0.5, limit=2),
            _along(2, 1),
            _along(3, 2, tolerate=1),
            _along(4, 1, limit=1),
            _task(5, 2, 3, rule="settled"),
        ),
    ),
    FlowPlan(
        "aligned behind what fails",
        (
            _map(1, on_failure="pass", stand_in=7),
            _along(2, 1, on_failure="pass"),
            _along(3, 2, on_failure="give_up"),
            _task(4, 2, 3, rule="settled"),
        ),
    ),
)


def _waiting_along(flow: FlowState, over: int) -> list[tuple[int, int]]:
    """The aligned maps that wait for this one to have its items, or for one of them, each with that."""
    found, left = list[tuple[int, int]](), [over]
    for one in left:
        for seq in flow.dependents[one]:
            task = flow.task(seq)
            planned = task.planned
            is_aligned = planned.program == "@map" and planned.parameters.get("aligned") is True
            waits = task.status is Status.WAIT and planned.items is None and not task.is_awaiting
            if is_aligned and waits:
                found.append((seq, one))
                left.append(seq)
    return found


def earlier_of(task: TaskState) -> tuple[EarlierItem, ...]:
    """The items that a map is matched with."""
    return task.earlier if task.is_matched else ()


class MappedTransitions(RuledTransitions):
    """Flows with maps, and whoever comes first."""

    plans = PLANS * 2

    def _is_done(
        self, asked: expectations.Asked, flow: FlowState, tasks: set[int], version_before: int
    ) -> bool:
        """What goes on may await something at once, and have it."""
        if asked.verb in ("cancel", "pause"):
            return super()._is_done(asked, flow, tasks, version_before)
        if asked.verb == "rerun":
            return flow.version > version_before and all(
                flow.task(seq).status is Status.WAIT
                or flow.task(seq).ended_as in ("n", "w")
                or is_wait(flow.task(seq).planned.program)
                for seq in tasks
            )
        return flow.version > version_before

    def _undecided(self) -> list[tuple[str, TaskState]]:
        return [
            (flow.flow, task)
            for flow in self.oracle.flows.values()
            for task in flow.tasks
            if task.is_awaiting and task.planned.program == "@map"
        ]

    def _read(self, flow: str, task: TaskState, late: int = 0) -> Undecided:
        planned, policy = task.planned, TaskPolicy.of(task.planned)
        lane = lane_of(self.oracle.flows[flow].workflow, planned)
        given_up = 0 if task.edges is None else task.edges.given_up
        items = numbers_of(planned.items)
        first = len(self.oracle.flows[flow].tasks) + 1
        found = MapRead(lane, policy.text() if policy else "", items, given_up=given_up, first=first)
        return Undecided(f"{flow}:{planned.seq}".encode(), task.attempt - late, b"", {}, found)

    @precondition(lambda self: self._undecided())
    @rule(data=st.data(), sends=st.integers(1, 2))
    def expand_or_gather(self, data: st.DataObject, sends: int) -> None:
        name, task = data.draw(st.sampled_from(self._undecided()))
        count, stops = 0, 0
        if task.planned.items is None:
            count = data.draw(st.sampled_from([0, None, 1, 2, 2, 3]))
            stops = data.draw(st.sampled_from([0, 0, 1])) if count else 0
        self._come_to(name, task, count, stops, sends)
        if stops:  # somebody else comes, who does not wait for the one before
            self._lose_patience(name)
            if maps := [one for of, one in self._undecided() if of == name]:
                self._come_to(name, data.draw(st.sampled_from(maps)), count, 0, 1)

    def _lose_patience(self, name: str) -> None:
        """Whoever began to send items is waited for no longer, as if that were long ago."""
        key = self.partition.keys.flow(name)
        staged: bytes | None = self.run(send(self.client, "HGET", key, "Z"))
        if staged:
            self.run(send(self.client, "HSET", key, "Z", LONG_AGO.sub(rb"\g<1>0", staged)))

    def _come_to(self, name: str, task: TaskState, count: int | None, stops: int, sends: int) -> None:
        """A map gets so many items (0: its list is empty, None: is none), or its list is handed in;
        ``stops``: whoever sends the items dies after so many."""
        one = self._read(name, task)
        if task.planned.items is not None:
            self._hand_in(one, self._gathering(name, task, one), sends)
            return
        if not count:
            error = b'{"type":"ListError","message":"it is null, no list"}'
            self._hand_in(one, Decided("gathered", b"[]") if count == 0 else Decided(None, error), sends)
            return
        expansion = self._expansion(name, task, one, count)
        expansion = with_chain(expansion, task.planned.seq, self._followers(name, task), name)
        expansion = with_taken(expansion, task.planned.seq, earlier_of(task))
        assert self._expand(self._read(name, task, late=1), expansion, "late", 0) in ("stale",)
        word = self._expand(one, expansion, f"w{next(self.numbers)}", stops)
        assert word in (("more", "busy", "ok") if stops else ("ok", "busy"))
        if word == "ok" and sends > 1:
            assert self._expand(one, expansion, "again", 0) == "stale"
        self._read_log()
        check_taken(self.events, name)

    def _expand(self, one: Undecided, expansion: Expansion, name: str, stops: int) -> str:
        """Sends the items one by one; ``stops``: it dies after so many."""
        assert one.of_map is not None
        word, first, sent = "", one.of_map.first, 0
        for segment in segments_of(expansion, one.of[1]):
            for fields in segment.items(first):
                word, _ = self.run(
                    expand(
                        self.client,
                        self.partition,
                        one,
                        by="w",
                        name=name,
                        items=[fields],
                        first=first,
                        before=sent,
                        segment=segment,
                        most_tasks=1_000,
                    )
                )
                sent += 1
                if word != "more" or sent == stops:
                    return word
        return word

    def _expansion(self, name: str, task: TaskState, one: Undecided, count: int) -> Expansion:
        """So many items of a map."""
        parameters, workflow = task.planned.parameters, self.oracle.flows[name].workflow
        others = self.oracle.flows[name].version % 2  # other lists have some elements in common
        values = [b"%d" % number for number in range(others, others + count)]
        item = item_like(task.planned, parameters, one.of)
        rules = rules_with_items(message_of(workflow, task.planned), count)
        return Expansion(workflow, item, Given(element_name(parameters), values), rules)

    def _followers(self, name: str, over: TaskState) -> list[Follower]:
        """The maps that may go along one; whoever is given it is given these."""
        flow = self.oracle.flows[name]
        waiting = _waiting_along(flow, over.planned.seq)
        for due in self.run(
            due_decisions(self.client, self.partition)
        ):  # none that somebody was given lately
            if due.of == (name, over.planned.seq):
                assert due.of_map is not None
                assert [(one.task, one.over) for one in due.of_map.followers] == waiting
                for one in due.of_map.followers:
                    assert one.earlier == earlier_of(flow.task(one.task))
                assert due.of_map.earlier == earlier_of(over)
        texts = self.run(read_messages(self.client, self.partition, name, [seq for seq, _ in waiting])) or {}
        found: list[Follower] = []
        for seq, behind in waiting:
            lane = lane_of(flow.workflow, flow.task(seq).planned)
            earlier = earlier_of(flow.task(seq))
            found.append(Follower(seq, behind, decode_message(texts[seq]), lane, "", texts[seq], earlier))
        return found

    def _gathering(self, name: str, task: TaskState, one: Undecided) -> Decided:
        """What a map comes to whose items have ended."""
        assert one.of_map is not None and task.planned.items is not None
        flow = self.oracle.flows[name]
        message = message_of(flow.workflow, task.planned)
        too_many = too_many_failed(message, task.planned.items[1], one.of_map.given_up)
        items = numbers_of(task.planned.items)
        return too_many or Decided("gathered", gathered(items, lambda seq: flow.task(seq).result))

    def _hand_in(self, one: Undecided, what: Decided, sends: int) -> None:
        for number in range(sends):
            words = self.run(decide(self.client, self.partition, "w", [(one, what)]))
            assert words == (["stale"] if number else ["ok"])
        self._read_log()


def test_flows_with_maps_follow_the_model(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the items have come to is read one by one; what two or more have in common stands once."""
    in_small(monkeypatch, decision_transitions, MOST_ITEMS_READ="1")
    monkeypatch.setattr(expansion_segments, "LEAST_COMMON", 2)
    run_machine(redis_url, examples=40, base=MappedTransitions)


class ChainedTransitions(MappedTransitions):
    """Flows with maps that go along others."""

    plans = CHAINS * 7

    @precondition(lambda self: self.registered)
    @rule(count=st.integers(1, 3), rounds=st.integers(1, 6), most=st.integers(1, 3))
    def go_on(self, count: int, rounds: int, most: int) -> None:
        """Maps get their items and their lists, and so many of these end, round by round."""
        for _ in range(rounds):
            for name, task in self._undecided():
                self._come_to(name, task, count, 0, 1)
            self.finish_all(0, most)

    @precondition(lambda self: any(task.planned.along for task in self._chained()))
    @rule(
        numbers=st.lists(st.integers(0, 99), min_size=2, max_size=3),
        scope=st.sampled_from(["", "only", "dependents", "changed", "changed", "changed"]),
        with_bodies=st.booleans(),
    )
    def run_items_again(self, numbers: list[int], scope: str, with_bodies: bool) -> None:
        """Items and maps of chains run again."""
        flows = [flow for flow in self.oracle.flows.values() if any(one.planned.along for one in flow.tasks)]
        flow = flows[numbers[0] % len(flows)]
        known = [one.planned.seq for one in flow.tasks if one.planned.program == "@map" or one.planned.item]
        chosen = list(dict.fromkeys(known[number % len(known)] for number in numbers[1:]))
        self.ask_now(expectations.Asked("rerun", chosen, scope, False, b"", with_bodies), flow, 1)

    def _chained(self) -> list[TaskState]:
        return [task for flow in self.oracle.flows.values() for task in flow.tasks]


def test_chains_of_maps_follow_the_model(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion_segments, "LEAST_COMMON", 2)
    run_machine(redis_url, examples=40, base=ChainedTransitions)
