"""The transition ``lend``: how a partition's shares of limits stand, lowered and raised."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.partitions.limit_shares import Seat
from flower_engine.transitions.loader import Arg, Script

_lend = Script("watcher/lend")
_FIELDS = 5


class Lendable(msgspec.Struct, frozen=True):
    """One number of a limit: the limit's name, and the place of the number in its value."""

    name: str
    which: int


class Standing(msgspec.Struct, frozen=True):
    """How a partition stands with one; ``had``: its share before the call; ``whole``: of what it is a share,
    as the limit's field says ("": it is none)."""

    had: int
    seat: Seat
    whole: str


async def lend(
    client: AsyncRedis,
    partition: Partition,
    step: Literal["look", "lower", "raise"],
    token: str,
    shares: Sequence[tuple[Lendable, int]],
) -> list[Standing | None] | None:
    """Lowers each to so much at most, or raises it to so much at least; how each stands then (None: it is not
    limited there). None in all: somebody else has lowered since, so nothing is raised.

    Raises:
        LostError: Redis lost its state.
    """
    rest: list[Arg] = []
    for one, share in shares:
        rest += (one.name, one.which, share)
    args = _lend.args(rest, generation=partition.generation, step=step, token=token)
    reply = partition.check(await _lend.run(client, partition.keys.meta, args))
    if reply[0] == b"moved":
        return None
    words = [word.decode() for word in reply[1:]]
    return [_standing(words[first : first + _FIELDS]) for first in range(0, len(words), _FIELDS)]


def _standing(words: Sequence[str]) -> Standing | None:
    had, has, used, waits, whole = words
    if not had:
        return None
    return Standing(int(had), Seat(int(has), int(used), waits == "1"), whole)
