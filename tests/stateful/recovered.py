"""A machine whose Redis is lost at any moment: rebuilt from the history alone it is what the fold says, and
work goes on; then it is as it was, and the machine goes on with that."""

from collections import defaultdict
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import rule

from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import send_blocking
from flower_engine.log.engine_clock import now_ms
from flower_engine.log.entries import LogEntry
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.events.events import decode_event
from flower_engine.model.folding.fold import fold
from flower_engine.model.invariants.invariants import differences
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.runtime.redis_recovery import put_back
from flower_engine.transitions.recovery_transitions import Ended, Rebuilding
from flower_engine.transitions.tree_transitions import look_at_trees
from flower_engine.transitions.worker_transitions import Service, attend, finish_and_claim
from stateful.machine_calls import MAX_LOST, MachineCalls, outcome_of
from stateful.plans import QUEUES

SERVICE = Service(QUEUES, ("A", "B", "C"))


class Recovered(MachineCalls):
    """Mixed into a machine: Redis is lost, and rebuilt."""

    @rule(rounds=st.integers(0, 2))
    def lose_redis(self, rounds: int) -> None:
        """So many times somebody works off what there is; children and lists are left to others."""
        partition, copied = self.partition, self._copy()
        try:
            self._rebuild()
            self._compare()
            held: list[Any] = []
            for number in range(1, rounds + 1):
                outcomes = [outcome_of(claim, OutcomeKind.FINISHED) for claim in held]
                held = self.run(
                    finish_and_claim(
                        *(self.client, self.partition, "behind", number),
                        answered=number - 1,
                        outcomes=outcomes,
                        wanted=20,
                        service_args=SERVICE.args(),
                        version="aa",
                    )
                ).claims
                self._compare()
                self.run(look_at_trees(self.client, self.partition, 50))
                self._compare()
        finally:
            self.partition = partition
            self._go_back(copied)

    def _rebuild(self) -> None:
        entries = self._entries()
        partition = self.partition
        generation = str(int(partition.generation) + 1)
        rebuilding = Rebuilding(self.client, 0, generation)
        self.run(rebuilding.fence(partition.installation, 1, 1))
        self.run(rebuilding.wipe())
        last = entries[-1]
        at_ms = decode_event(last.raw).at
        self.run(rebuilding.reopen(position=last.position, entry=last.raw, at_ms=at_ms, limits=self.limits))
        histories: dict[str, list[ArchivedEvent]] = defaultdict(list)
        for entry in entries:
            name = getattr(decode_event(entry.raw), "flow", None)
            if name:
                histories[name].append(ArchivedEvent(entry.position, entry.raw))
        flows = self.oracle.flows
        ended = [one for one in flows.values() if one.ended_ms is not None]
        self.run(rebuilding.remember([Ended(one.flow, one.version, one.ended_ms or 0) for one in ended], []))
        now = self.run(now_ms(self.client, self.partition.keys))
        back = [
            put_back(name, history, now, MAX_LOST)
            for name, history in histories.items()
            if flows[name].ended_ms is None
        ]
        self.run(rebuilding.restore([one.returning for one in back]))
        self.run(rebuilding.seal(max([0, *(one.next_order for one in back)])))
        self.partition = Partition(0, partition.installation, generation)
        self.run(attend(self.client, self.partition, QUEUES))

    def _entries(self) -> list[LogEntry]:
        return self.run(read_log(self.client, self.partition, None, 1_000_000))

    def _compare(self) -> None:
        """Redis against the fold of the whole history: what was archived, and what the log has since."""
        new = [
            decode_event(one.raw) for one in self._entries()[1:]
        ]  # the first is the last that was archived
        live = self.run(read_live_state(self.client, self.partition))
        found = differences(fold([*self.events, *new]), live)
        assert not found, found

    def _copy(self) -> dict[bytes, bytes]:
        keys = cast(list[bytes], send_blocking(self.blocking, "KEYS", "*"))
        return {key: cast(bytes, send_blocking(self.blocking, "DUMP", key)) for key in keys}

    def _go_back(self, copied: dict[bytes, bytes]) -> None:
        send_blocking(self.blocking, "FLUSHALL")
        for key, value in copied.items():
            send_blocking(self.blocking, "RESTORE", key, 0, value)
