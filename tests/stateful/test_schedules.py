"""A Hypothesis state machine drives schedules: two watchers, lost replies, edits, and a clock that it sets.

After each step what Redis holds is what the log says, each slot has one fate and each that fired one flow
(the fold refuses anything else), and no slot was left out: by the definition that held, each fate begins
right behind the cursor and counts the slots that lie in it.
"""

from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

import fuzzing
from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import connect_blocking, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import version_of
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.schedule_events import ScheduleDefined, ScheduleEvent, ScheduleHeld
from flower_engine.model.folding.schedule_state import fate_of, fold_schedules
from flower_engine.model.invariants.invariants import differences
from flower_engine.projection.definitions.schedule_rows import ScheduledWorkflow
from flower_engine.schedules.schedule import CATCH_UPS, OVERLAPS, Schedule
from flower_engine.schedules.slots import count_slots, next_slot
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.loader import Script
from flower_engine.transitions.lua_source import compose
from flower_engine.transitions.operator_transitions import cancel, rerun
from flower_engine.transitions.schedule_transitions import (
    Definition,
    Firing,
    SlotsFired,
    define_schedules,
    fire_slots,
    read_schedules,
)
from flower_watcher.firing_plans import Proposing
from flower_watcher.scheduled_workflows import Shared
from scripts.engine import Engine
from stateful.client_at_once import client_at_once, result_of

pytestmark = pytest.mark.hypothesis
T = TypeVar("T")
BEGIN_MS = 1_795_000_000_000
CLOCK = "{flower:0}:clock"
UIDS = tuple(f"00000000-0000-4000-8000-00000000000{number}" for number in range(3))
_encode = msgspec.json.encode

_definition = WorkflowDefinition(
    name="etl",
    tasks=(TaskDefinition(task_seq=1, program="A"), TaskDefinition(task_seq=2, program="A")),
)
_version = version_of(_definition)
PLAN = _encode(ScheduledWorkflow(name="etl", hash=_version.hash, canonical=_version.canonical))


@contextmanager
def clock_of_test() -> Generator[None]:
    """Scripts ask a key what time it is, ms; not Redis."""
    texts: dict[str, bytes] = {}

    def text(script: Script) -> bytes:
        if script.name not in texts:
            now = f"redis.call('GET', '{CLOCK}')"
            parts = f"{{ math.floor({now} / 1000), {now} % 1000 * 1000 }}"
            texts[script.name] = compose(script.name).replace("call('TIME')", parts).encode()
        return texts[script.name]

    with patch.object(Script, "text", property(text)), patch.object(Script, "sha", "0" * 40):
        yield


class Machine(RuleBasedStateMachine):
    """Three schedules, two watchers."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.blocking = connect_blocking(self.url)
        self.client = client_at_once(self.blocking)
        self.clock_ms = BEGIN_MS
        self.version = 0
        self.specs: dict[tuple[str, int], Schedule] = {}
        self.definitions: list[Definition] = []
        self.least: dict[str, int] = {}
        self.kept: tuple[dict[str, Firing], dict[str, Firing]] = ({}, {})
        self.proposing = [Proposing(0, Shared()) for _ in range(2)]

    def run(self, awaited: Awaitable[T]) -> T:
        return result_of(awaited)

    def teardown(self) -> None:
        self.blocking.close()

    @initialize()
    def start(self) -> None:
        self.blocking.flushall()  # pyright: ignore[reportUnknownMemberType]
        self._set_clock()
        meta = self.run(install(self.client, 0, "test", 1))
        self.engine = Engine(self.client, self.blocking, Partition(0, meta.installation, meta.generation))
        self.run(self.engine.attend("default"))
        for uid, overlap in zip(UIDS, ("skip", "queue", "strict"), strict=True):
            given = {"every": 1, "overlap": overlap, "catch_up": "all", "jitter": 0, "is_paused": False}
            self._set(uid, moves=True, most_failures=None, **given)

    def _set_clock(self) -> None:
        self.run(send(self.client, "SET", CLOCK, self.clock_ms))

    @rule(by_ms=st.sampled_from([1_000, 1_000, 2_500, 7_000, 200, 0, 20_000, 45_000, 3_600_000]))
    def the_clock_goes_on(self, by_ms: int) -> None:
        self.clock_ms += by_ms
        self._set_clock()

    @rule(
        uid=st.sampled_from(UIDS),
        every=st.sampled_from([1, 7, 60]),
        overlap=st.sampled_from(OVERLAPS),
        catch_up=st.sampled_from(CATCH_UPS),
        jitter=st.sampled_from([0, 0.7]),
        is_paused=st.sampled_from([False, False, True]),
        most_failures=st.sampled_from([None, 1]),
        moves=st.booleans(),
    )
    def define(self, **given: Any) -> None:
        self._set(**given)

    def _set(self, uid: str, moves: bool, most_failures: int | None, **given: Any) -> None:
        before = next((self.specs[key] for key in reversed(self.specs) if key[0] == uid), None)
        if before is not None and not moves:  # else it would be another schedule without a change of when
            given["every"] = before.every_seconds
        self.version += 1
        spec = Schedule(
            name="s",
            uid=uid,
            task_id="etl",
            every_seconds=given["every"],
            overlap=given["overlap"],
            catch_up=given["catch_up"],
            jitter_seconds=given["jitter"],
            is_paused=given["is_paused"],
            pause_after_failures=most_failures,
        )
        if moves or before is None or uid not in self.least:
            self.least[uid] = self.clock_ms
        self._define(
            Definition(
                uid=uid,
                version=self.version,
                name="s",
                state="paused" if given["is_paused"] else "active",
                spec=_encode(spec),
                plan=PLAN,
                least_cursor_ms=self.least[uid],
            ),
            spec,
        )

    def _define(self, definition: Definition, spec: Schedule) -> None:
        self.specs[definition.uid, definition.version] = spec
        self.definitions.append(definition)
        assert self.run(define_schedules(self.client, self.engine.partition, [definition])) == ["new"]

    @precondition(lambda self: self.definitions)
    @rule(data=st.data())
    def an_old_definition_comes_late(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.definitions))
        (known,) = self.run(read_schedules(self.client, self.engine.partition, [one.uid]))
        if known is not None:  # what was deleted is not defined again
            (word,) = self.run(define_schedules(self.client, self.engine.partition, [one]))
            assert word == ("same" if known.version == one.version else "old")

    @rule(uid=st.sampled_from(UIDS))
    def delete(self, uid: str) -> None:
        self.version += 1
        if uid in self.least:
            del self.least[uid]
            gone = Definition(uid=uid, version=self.version, name="s", state="deleted")
            self.run(define_schedules(self.client, self.engine.partition, [gone]))

    @rule(
        watcher=st.integers(0, 1), uid=st.sampled_from(UIDS), ahead_ms=st.sampled_from([0, 0, 1_000, 30_000])
    )
    def look(self, watcher: int, uid: str, ahead_ms: int) -> None:
        """A watcher makes up its mind, for now or for a moment to come; it may send that much later."""
        (known,) = self.run(read_schedules(self.client, self.engine.partition, [uid]))
        if known is not None:
            if not self.proposing[watcher].knows(uid, known.version):
                self.proposing[watcher].learn(known)
            self.kept[watcher][uid] = self.proposing[watcher].propose(known, self.clock_ms + ahead_ms)

    @rule(by_ms=st.sampled_from([1_000, 1_500, 3_000]), watcher=st.integers(0, 1))
    def a_watcher_does_what_is_due(self, by_ms: int, watcher: int) -> None:
        self.the_clock_goes_on(by_ms)
        for uid in UIDS:
            self.look(watcher, uid, 0)
        self.decide(watcher, 1, keeps=False)

    @rule(watcher=st.integers(0, 1), times=st.sampled_from([1, 1, 2]), keeps=st.booleans())
    def decide(self, watcher: int, times: int, keeps: bool) -> None:
        """What it made up its mind to is sent; a reply may be lost, and it is sent again."""
        firings = list(self.kept[watcher].values())
        for _ in range(times if firings else 0):
            fired: list[SlotsFired] = self.run(fire_slots(self.client, self.engine.partition, firings))
            assert [one.uid for one in fired] == [one.uid for one in firings]
        if not keeps:
            self.kept[watcher].clear()

    @rule(count=st.integers(1, 5), fails=st.booleans())
    def work(self, count: int, fails: bool) -> None:
        claims = self.run(self.engine.claim(count))
        if claims:
            self.run(self.engine.suspend(*claims) if fails else self.engine.finish(*claims))

    @rule(data=st.data(), ends=st.booleans())
    def operate(self, data: st.DataObject, ends: bool) -> None:
        flows = [flow for flow in self.run(self.engine.flows()).values() if flow.ended_ms is None]
        if flows:
            flow = data.draw(st.sampled_from(sorted(flow.flow for flow in flows)))
            where = (self.client, self.engine.partition)
            if ends:
                self.run(cancel(*where, flow, by="eve"))
            elif next(one for one in flows if one.flow == flow).suspended:
                self.run(rerun(*where, flow, by="eve", selection="failed"))

    @invariant()
    def redis_is_what_the_log_says(self) -> None:
        if not hasattr(self, "engine"):
            return
        events = self.run(self.engine.events())
        live = self.run(read_live_state(self.client, self.engine.partition))
        found = differences(self.run(self.engine.flows()), live, schedules=fold_schedules(events))
        assert found == [], found
        self._no_slot_is_left_out(events)

    def _no_slot_is_left_out(self, events: list[AnyEvent]) -> None:
        cursors: dict[str, int] = {}
        specs: dict[str, Schedule] = {}
        for event in events:
            if isinstance(event, ScheduleDefined):
                cursors[event.schedule] = max(cursors.get(event.schedule, 0), event.cursor)
                spec = self.specs.get((event.schedule, event.version))
                if spec is not None:
                    specs[event.schedule] = spec
            elif isinstance(event, ScheduleEvent):
                fate, cursor = fate_of(event), cursors[event.schedule]
                spec = specs[event.schedule]
                assert fate.slot == next_slot(spec, cursor), f"{event} leaves slots out behind {cursor}"
                assert fate.count == count_slots(spec, cursor, fate.until), f"{event} counts wrongly"
                if not isinstance(event, ScheduleHeld):
                    assert fate.until <= self.clock_ms, f"{event} was decided before its time"
                    cursors[event.schedule] = fate.until


def test_slots_get_their_fates_whatever_watchers_and_clocks_do(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "url", redis_url)
    with clock_of_test():
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=fuzzing.examples(25),
                stateful_step_count=40,
                phases=(Phase.reuse, Phase.generate, Phase.shrink),
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
