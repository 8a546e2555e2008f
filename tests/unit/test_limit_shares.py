"""Shares of a limit are lent by demand, and all together they never exceed it."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flower_engine.model.partitions.limit_shares import (
    Seat,
    first_share,
    kept_for_away,
    lowered,
    raised,
    wanted,
)

PARTITIONS = 4


@dataclass
class Place:
    """A partition, as Redis has it."""

    share: int
    running: int = 0
    waiting: int = 0
    is_away: bool = False
    token: int = 0

    def work(self) -> None:
        """What waits begins, as far as the share lets it."""
        begins = min(self.waiting, max(0, self.share - self.running))
        self.waiting -= begins
        self.running += begins

    def seat(self) -> Seat:
        return Seat(self.share, self.running, self.waiting > 0)


@dataclass
class Lender:
    """Somebody who lends, as far as he has come; he may stand still, or be killed, anywhere."""

    token: int
    wanted: dict[int, int]
    left: list[int]
    seats: dict[int, Seat]
    raising: dict[int, int] | None = None
    limit: int = 0


class Lending(RuleBasedStateMachine):
    """Partitions that come and go, tasks that come and end, and lenders that are stopped between any two
    steps; two of them at once."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 0
        self.places: dict[int, Place] = {}
        self.lenders: list[Lender] = []
        self.tokens = 0

    @initialize(limit=st.integers(1, 12))
    def begin(self, limit: int) -> None:
        self.limit = limit
        self.places = {n: Place(first_share(limit, n, PARTITIONS)) for n in range(PARTITIONS)}

    @rule(number=st.integers(0, PARTITIONS - 1), tasks=st.integers(1, 20))
    def tasks_come(self, number: int, tasks: int) -> None:
        self.places[number].waiting += tasks
        self.places[number].work()

    @rule(number=st.integers(0, PARTITIONS - 1), tasks=st.integers(1, 20))
    def tasks_end(self, number: int, tasks: int) -> None:
        place = self.places[number]
        place.running = max(0, place.running - tasks)
        place.work()

    @rule(number=st.integers(0, PARTITIONS - 1))
    def a_partition_goes_or_comes_back(self, number: int) -> None:
        self.places[number].is_away = not self.places[number].is_away

    @rule(turn=st.integers(0, 9))
    def somebody_begins_to_lend(self, turn: int) -> None:
        here = {n: place.seat() for n, place in self.places.items() if not place.is_away}
        if not here or len(self.lenders) > 1:
            return
        self.tokens += 1
        limit = self.limit
        if len(here) < PARTITIONS:
            limit -= kept_for_away(self.limit, here)
        self.lenders.append(Lender(self.tokens, wanted(limit, here, turn), list(here), {}, None, 0))

    @precondition(lambda self: self.lenders)
    @rule(which=st.integers(0, 1))
    def a_lender_does_a_step(self, which: int) -> None:
        lender = self.lenders[which % len(self.lenders)]
        if lender.raising is None:
            number = lender.left.pop()
            place = self.places[number]
            if place.is_away:
                self.lenders.remove(lender)
                return
            place.token = lender.token
            before = place.seat()
            place.share = min(place.share, lender.wanted[number])
            lender.limit += before.share
            lender.seats[number] = place.seat()
            if not lender.left:
                is_whole = len(lender.seats) == PARTITIONS
                limit = self.limit if is_whole else lender.limit
                lender.raising = raised(limit, lender.seats, lender.wanted)
            return
        if not lender.raising:
            self.lenders.remove(lender)
            return
        number, share = lender.raising.popitem()
        place = self.places[number]
        if place.token == lender.token and not place.is_away:
            place.share = max(place.share, share)
            place.work()

    @precondition(lambda self: self.lenders)
    @rule(which=st.integers(0, 1))
    def a_lender_is_killed(self, which: int) -> None:
        self.lenders.pop(which % len(self.lenders))

    @invariant()
    def never_is_more_shared_or_used_than_the_limit_says(self) -> None:
        assert sum(place.share for place in self.places.values()) <= self.limit
        assert sum(max(place.share, place.running) for place in self.places.values()) <= self.limit

    def teardown(self) -> None:
        """When all is quiet, a single busy partition gets nearly all, and everybody where many wait ends."""
        if not self.places:
            return
        for place in self.places.values():
            place.is_away, place.waiting, place.running = False, 0, 0
        self.places[1].waiting = 100
        for _ in range(3):
            lend(self.limit, self.places)
        kept = PARTITIONS - 1 if self.limit >= 2 * PARTITIONS else 0
        assert self.places[1].share == self.limit - kept


def lend(limit: int, places: dict[int, Place], turn: int = 0) -> None:
    """A whole look of whoever lends."""
    seats = {number: place.seat() for number, place in places.items()}
    want = wanted(limit, seats, turn)
    for number, share in lowered(seats, want).items():
        places[number].share = share
    seats = {number: place.seat() for number, place in places.items()}
    for number, share in raised(limit, seats, want).items():
        places[number].share = share
    for place in places.values():
        place.work()


TestLending = Lending.TestCase


@given(
    st.integers(1, 50), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), min_size=1)
)
def test_no_more_is_wanted_than_there_is(limit: int, seats: list[tuple[int, int, bool]]) -> None:
    found = wanted(limit, {number: Seat(*seat) for number, seat in enumerate(seats)})
    assert sum(found.values()) <= limit
    if any(waits for _, _, waits in seats) or sum(used for _, used, _ in seats) <= limit:
        assert set(found) == set(range(len(seats)))


def test_a_limit_of_one_goes_round_and_everybody_gets_it() -> None:
    places = {number: Place(0, waiting=100) for number in range(5)}
    served = dict.fromkeys(places, 0)
    for turn in range(200):
        lend(1, places, turn)
        assert sum(place.running for place in places.values()) <= 1
        for number, place in places.items():
            served[number] += place.running
            place.running = 0
    assert min(served.values()) > 0


def test_what_is_quiet_keeps_its_shares() -> None:
    seats = {0: Seat(7, 0, waits=False), 1: Seat(3, 2, waits=False)}
    assert wanted(10, seats) == {0: 7, 1: 3}


def test_two_busy_partitions_share_evenly() -> None:
    seats = {0: Seat(97, 97, waits=True), 1: Seat(1, 1, waits=True), 2: Seat(2, 0, waits=False)}
    assert wanted(100, seats) == {0: 50, 1: 49, 2: 1}
