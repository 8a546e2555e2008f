"""A partition is taken away only when nothing of it would be lost, whoever is late, killed or twice at it."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flower_engine.model.partitions.retiring import Seen, Step, next_step

TAKERS = 2


@dataclass
class Tables:
    """The partition, as Postgres has it."""

    is_retiring: bool = False
    is_retired: bool = False
    projected: int = 0
    open_flows: int = 0


@dataclass
class Redis:
    """The partition, as Redis has it: each event is +1 (a flow) or -1 (its end)."""

    log: list[int] = field(default_factory=list[int])
    gets_flows: bool = True
    is_closed: bool = False
    has_lines: bool = False
    is_leaving: bool = False
    are_keys_gone: bool = False


class Retiring(RuleBasedStateMachine):
    """Whoever takes it away reads Postgres, stands still, reads Redis, stands still, and acts on what he saw;
    two of them at once. Operators come and go between, and an API that heard nothing registers flows."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = Tables()
        self.redis = Redis()
        self.read: dict[int, Tables] = {}
        self.seen: dict[int, Seen] = {}
        self.acknowledged = 0

    @rule()
    def retire(self) -> None:
        if not self.tables.is_retired:
            self.tables.is_retiring = True
            self.redis.gets_flows = False

    @rule()
    def retire_and_be_killed(self) -> None:
        if not self.tables.is_retired:
            self.redis.gets_flows = False  # it was told, and the transaction was not committed

    @precondition(lambda self: not self.redis.is_closed)
    @rule()
    def keep(self) -> None:
        self.tables.is_retiring = False
        self.redis.gets_flows = True
        self.redis.is_leaving = False

    @precondition(lambda self: not self.redis.is_closed)
    @rule()
    def tell_what_the_tables_say(self) -> None:
        self.redis.gets_flows = not self.tables.is_retiring

    @rule(is_late=st.booleans())
    def register(self, is_late: bool) -> None:
        if self.redis.is_closed or not (self.redis.gets_flows or is_late):
            return
        self.redis.log.append(1)
        self.redis.has_lines = True
        self.acknowledged += 1

    @precondition(lambda self: sum(self.redis.log) > 0 and not self.redis.is_closed)
    @rule()
    def end_a_flow(self) -> None:
        self.redis.log.append(-1)

    @precondition(lambda self: self.tables.projected < len(self.redis.log))
    @rule()
    def project(self) -> None:
        self.tables.open_flows += self.redis.log[self.tables.projected]
        self.tables.projected += 1

    @rule()
    def store_lines(self) -> None:
        if not self.redis.are_keys_gone:
            self.redis.has_lines = False

    @rule(who=st.integers(1, TAKERS))
    def read_tables(self, who: int) -> None:
        now = self.tables
        self.read[who] = Tables(now.is_retiring, now.is_retired, now.projected, now.open_flows)

    @rule(who=st.integers(1, TAKERS), is_left=st.booleans())
    def read_redis(self, who: int, is_left: bool) -> None:
        told = self.read.pop(who, None)
        if told is None:
            return
        self.seen[who] = Seen(
            is_retiring=told.is_retiring,
            is_retired=told.is_retired,
            open_flows=told.open_flows,
            position=str(told.projected),
            log_end=str(len(self.redis.log)),
            has_unstored=self.redis.has_lines,
            is_leaving=self.redis.is_leaving,
            is_left=self.redis.is_leaving and is_left,
            is_closed=self.redis.is_closed and not self.redis.are_keys_gone,
        )

    @rule(who=st.integers(1, TAKERS), is_killed=st.booleans())
    def act(self, who: int, is_killed: bool) -> None:
        if (seen := self.seen.pop(who, None)) is not None:
            self._act(seen, next_step(seen), is_killed=is_killed)

    def _act(self, seen: Seen, step: Step, *, is_killed: bool = False) -> None:
        redis, tables = self.redis, self.tables
        if step in ("leave", "come back") and not redis.is_closed:
            redis.is_leaving = step == "leave"
        if step == "close":  # as retire.lua does
            may = not redis.gets_flows and str(len(redis.log)) == seen.position
            redis.is_closed = redis.is_closed or may
            if not redis.is_closed or is_killed:
                return
        if step in ("close", "note"):
            tables.is_retired = tables.is_retired or (
                tables.is_retiring and str(tables.projected) == seen.position
            )
        if step == "clear" and redis.is_closed:
            redis.are_keys_gone = True

    @invariant()
    def what_is_closed_had_no_flow_and_all_of_it_is_archived(self) -> None:
        if self.redis.is_closed:
            assert sum(self.redis.log) == 0
            assert self.tables.projected == len(self.redis.log)
            assert self.tables.open_flows == 0
        if self.tables.is_retired:
            assert self.redis.is_closed

    @invariant()
    def every_acknowledged_flow_is_in_a_store(self) -> None:
        assert self.redis.log.count(1) == self.acknowledged
        if self.redis.are_keys_gone:
            assert self.tables.projected == len(self.redis.log)
            assert self.tables.is_retired

    def teardown(self) -> None:
        """With faults over, one that is retired and has ended all it had is taken away."""
        if not self.tables.is_retiring:
            return
        self.redis.gets_flows = False
        self.redis.has_lines = False
        if not self.redis.is_closed:
            self.redis.log += [-1] * sum(self.redis.log)
        while self.tables.projected < len(self.redis.log):
            self.project()
        for _ in range(8):
            self.read_tables(1)
            self.read_redis(1, is_left=True)
            self.act(1, is_killed=False)
        assert self.tables.is_retired
        assert self.redis.are_keys_gone


TestRetiring = Retiring.TestCase
