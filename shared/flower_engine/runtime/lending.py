"""Shares of limits that are not used in one partition are lent to those where something waits.

Whoever lends may be killed, or stand still, between any two steps: shares are lowered first, everywhere that
is there; then they are raised within what is free by what was answered to that. Nothing is raised by somebody
who was overtaken by another one's lowering.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from flower_engine.crash_points import crash_point
from flower_engine.log.client import AsyncRedis
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.flow_control.limits import lent_of, number_of
from flower_engine.model.partitions.limit_shares import Seat, kept_for_away, raised, wanted
from flower_engine.transitions.lending_transition import Lendable, Standing, lend

_PATIENCE_SECONDS = 2.0
Step = Literal["look", "lower", "raise"]
Seats = dict[Lendable, dict[int, Standing]]


def lendables(controls: Iterable[FlowControl]) -> dict[Lendable, int]:
    """What is lent, and the whole of each."""
    return {
        Lendable(name, which): whole
        for control in controls
        for name, wholes in lent_of(control).items()
        for which, whole in wholes.items()
    }


class Lending:
    """One look at all limits, and what follows from it."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        count: int,
        controls: Iterable[FlowControl],
        turn: int,
    ) -> None:
        """``partitions``: those that are there, of ``count``; ``turn`` is another number each time."""
        self._client = client
        self._here = list(partitions)
        self._count = count
        self._wholes = lendables(controls)
        self._turn = turn
        self._token = uuid.uuid4().hex
        self._wanted: dict[Lendable, dict[int, int]] = {}

    async def is_due(self) -> bool:
        """Whether any share should be another one. Changes nothing."""
        if not self._wholes or self._count == 1:
            return False
        every = [(limit, 0) for limit in self._wholes]
        seats = await self._ask("look", {one.number: every for one in self._here})
        for limit, standings in seats.items():
            now = _seats(standings)
            want = wanted(self._to_share(limit, standings), now, self._turn)
            if want != {number: seat.share for number, seat in now.items()}:
                self._wanted[limit] = want
        return bool(self._wanted)

    async def run(self) -> int:
        """Lends; how many shares were raised. To be called by one at a time, after :meth:`is_due`."""
        there = {one.number: one for one in self._here}
        to_lower = {
            number: [(limit, want[number]) for limit, want in self._wanted.items() if number in want]
            for number in there
        }
        seats = await self._ask("lower", to_lower)
        crash_point("lending.lowered")
        to_raise: dict[int, list[tuple[Lendable, int]]] = {}
        for limit, standings in seats.items():
            want = self._wanted[limit]
            if standings.keys() != want.keys():
                continue  # one has gone meanwhile: what was lowered is lent at the next look
            limit_here = self._to_share(limit, standings)
            for number, share in raised(limit_here, _seats(standings), want).items():
                to_raise.setdefault(number, []).append((limit, share))
        await self._ask("raise", to_raise)
        crash_point("lending.raised")
        return sum(len(shares) for shares in to_raise.values())

    async def shares(self) -> dict[Lendable, dict[int, int]]:
        """See :func:`shares_of`."""
        every = [(limit, 0) for limit in self._wholes]
        seats = await self._ask("look", {one.number: every for one in self._here}) if every else {}
        return {
            limit: {number: one.seat.share for number, one in sorted(standings.items())}
            for limit, standings in seats.items()
        }

    async def overdrawn(self) -> list[str]:
        """See :func:`overdrawn`."""
        return [
            f"flow control {limit.name!r} is {self._wholes[limit]}, and the partitions' shares are"
            f" {list(shares.values())}"
            for limit, shares in (await self.shares()).items()
            if sum(shares.values()) > self._wholes[limit]
        ]

    def _to_share(self, limit: Lendable, standings: Mapping[int, Standing]) -> int:
        """What those that are there may have: without what others may have that are away."""
        whole = self._wholes[limit]
        if len(standings) == self._count:
            return whole
        before = {number: Seat(one.had, 0, waits=False) for number, one in standings.items()}
        return whole - kept_for_away(whole, before)

    async def _ask(self, step: Step, shares: Mapping[int, list[tuple[Lendable, int]]]) -> Seats:
        """How those stand with each limit that were asked, and answered."""
        asked = [one for one in self._here if shares.get(one.number)]

        async def ask(partition: Partition) -> list[Standing | None] | None:
            return await lend(self._client, partition, step, self._token, shares[partition.number])

        if not asked:
            return {}
        told = await from_each(self._client, asked, ask, seconds=_PATIENCE_SECONDS)
        found: Seats = {}
        for number, standings in told.found.items():
            for (limit, _), one in zip(shares[number], standings or (), strict=False):
                if one is not None and number_of(one.whole, limit.which) == self._wholes[limit]:
                    found.setdefault(limit, {})[number] = one
        return found


async def shares_of(
    client: AsyncRedis, partitions: Sequence[Partition], count: int, controls: Iterable[FlowControl]
) -> dict[Lendable, dict[int, int]]:
    """The share that each partition has of what is lent now, by its number."""
    return await Lending(client, partitions, count, controls, 0).shares()


async def overdrawn(
    client: AsyncRedis, partitions: Sequence[Partition], count: int, controls: Iterable[FlowControl]
) -> list[str]:
    """Limits of which these partitions have larger shares than there is, each as a sentence."""
    return await Lending(client, partitions, count, controls, 0).overdrawn()


def _seats(standings: Mapping[int, Standing]) -> dict[int, Seat]:
    return {number: one.seat for number, one in standings.items()}
