"""Projectors share the partitions: each reckons for itself what it takes, and all come to the same."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.projection.database import Connection
from flower_engine.projection.write.projector_members import Member
from flower_engine.runtime.clock import SystemClock
from flower_engine.runtime.settings import Settings
from flower_projector.partition_shares import PartitionSharesLoop, share_of


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(0, 300))
def test_shares_add_up_differ_by_one_and_move_nothing_without_need(held: list[int], partitions: int) -> None:
    members = [Member(f"{place:02}", tuple(range(count)), 0) for place, count in enumerate(held)]
    shares = {one.name: share_of(one.name, members, partitions) for one in members}
    assert sum(shares.values()) == partitions
    assert max(shares.values()) - min(shares.values()) <= 1
    # Where all have their shares already, everybody keeps what he has.
    settled = [Member(name, tuple(range(share)), 0) for name, share in shares.items()]
    assert {one.name: share_of(one.name, settled, partitions) for one in settled} == shares


class _Held(SystemClock):
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Held:
    return _Held()


@pytest.fixture
async def shares(
    tables: Connection, settings: Settings, clock: _Held
) -> AsyncGenerator[list[PartitionSharesLoop]]:
    made = [PartitionSharesLoop(settings, range(4), clock=clock) for _ in range(3)]
    yield made
    for one in made:
        await one.leave()


async def _look(*members: PartitionSharesLoop) -> None:
    for _ in range(2):
        for one in members:
            await one.run_once()


def _take(one: PartitionSharesLoop) -> set[int]:
    return {number for number in range(4) if one.takes(number)}


async def test_who_comes_is_given_what_others_have_beyond_their_share(
    shares: list[PartitionSharesLoop],
) -> None:
    first, second, _ = shares
    assert _take(first) == set()  # it has not looked yet
    await _look(first)
    assert _take(first) == {0, 1, 2, 3}
    assert not any(first.gives(number) for number in range(4))
    await _look(second, first)
    await _look(second, first)
    giving = {number for number in range(4) if first.gives(number)}
    assert giving == {2, 3}
    for number in giving:
        first.left(number)
    assert [second.takes(number) for number in (2, 3, 1)] == [True, True, False]
    await _look(first, second)
    assert not any(one.gives(number) for one in shares for number in range(4))


async def test_what_nobody_takes_is_taken_beyond_the_share(
    shares: list[PartitionSharesLoop], clock: _Held
) -> None:
    first, second, _ = shares
    await _look(first, second, first)
    assert len(_take(first)) == 2
    clock.now += 6  # of all four nobody is elected for any in this test
    assert _take(first) == {0, 1, 2, 3}


async def test_who_cannot_reach_a_store_asks_for_nothing(shares: list[PartitionSharesLoop]) -> None:
    first, second, _ = shares
    await _look(first)
    _take(first)
    second.left(3, failed=True)
    await _look(second, first, second, first)
    assert not any(first.gives(number) for number in range(4))


async def test_who_leaves_is_no_member_any_more(
    tables: Connection, settings: Settings, shares: list[PartitionSharesLoop]
) -> None:
    first = shares[0]
    stop = asyncio.Event()
    other = PartitionSharesLoop(settings, range(4), stop)
    await other.run_once()
    await _look(first)
    assert first.share == 2
    stop.set()
    await other.run()
    await _look(first)
    assert first.share == 4
