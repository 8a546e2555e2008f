"""The transitions prune and pruned: Redis is told that flows go, before they do."""

import uuid
from collections.abc import Sequence
from typing import Literal

import msgspec

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.transitions.loader import Script

_prune = Script("projector/prune")
_pruned = Script("projector/pruned")
_CALL_FLOWS = 500  # a millisecond of Redis' time


def _new_id() -> str:
    return uuid.uuid4().hex


class Pruning(msgspec.Struct, frozen=True):
    """One prune of a partition: what ended before ``until_ms`` goes."""

    partition: Partition
    until_ms: int
    id: str = msgspec.field(default_factory=_new_id)

    async def begin(self, client: AsyncRedis, flows: Sequence[tuple[str, int]] = ()) -> set[str]:
        """From here on nothing that ended before is put back. Returns those of the flows (id, version that is
        projected) that were put back until then, or have ended anew since.

        Raises:
            LostError: Redis lost its state.
        """
        stay: set[str] = set()
        for first in range(0, max(len(flows), 1), _CALL_FLOWS):
            args = _prune.args(
                (part for pair in flows[first : first + _CALL_FLOWS] for part in pair),
                generation=self.partition.generation,
                until_ms=self.until_ms,
                prune=self.id,
            )
            reply = self.partition.check(await _prune.run(client, self.partition.keys.meta, args))
            stay.update(flow.decode() for flow in reply[1:])
        return stay

    async def holds(self, client: AsyncRedis) -> bool:
        """Whether Redis still knows that."""
        fields = ("generation", "pruning")
        found: list[bytes | None] = await send(client, "HMGET", self.partition.keys.meta, *fields)
        generation, mark = (value.decode() if value else "" for value in found)
        until, _, by = mark.partition(" ")
        return generation == self.partition.generation and by == self.id and int(until) >= self.until_ms

    async def end(self, client: AsyncRedis, outcome: Literal["gone", "kept"]) -> None:
        """It is over: the flows went, or did not.

        Raises:
            LostError: Redis lost its state.
        """
        await _over(client, self.partition, self.until_ms, self.id, outcome)


async def take_back(client: AsyncRedis, partition: Partition, until_ms: int) -> None:
    """For who has seen that Postgres has flows of before this moment, and that nobody prunes: operations on
    them are taken again. Until this has returned nobody may begin to prune.

    Raises:
        LostError: Redis lost its state.
    """
    await _over(client, partition, until_ms, "", "back")


async def _over(
    client: AsyncRedis, partition: Partition, until_ms: int, by: str, word: Literal["gone", "kept", "back"]
) -> None:
    args = _pruned.args(generation=partition.generation, until_ms=until_ms, prune=by, word=word)
    partition.check(await _pruned.run(client, partition.keys.meta, args))
