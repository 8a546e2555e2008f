"""The transitions of whoever decides: which decisions there are to be made, and what they came to."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.decision_outcomes import Decided
from flower_engine.transitions.loader import Script

_decisions = Script("worker/decisions")
_decide = Script("worker/decide")
_encode = msgspec.json.Encoder().encode
MOST_DECISIONS = 20
_LETTERS = {True: "t", False: "f", None: "x"}


class Undecided(msgspec.Struct, frozen=True):
    """A decision to be made. ``message`` is a TaskMessage; ``inputs`` the payloads of what it reads, by
    ``<flow>:<task>`` (see ``kept_results``)."""

    member: bytes
    attempt: int
    message: bytes
    inputs: Mapping[bytes, bytes]

    def input(self, task: int) -> bytes:
        """What a task of its flow has."""
        return self.inputs.get(b"%b%d" % (self.member[:37], task), b"-")

    def __str__(self) -> str:
        return f"flow {self.member[:36].decode()} task {self.member[37:].decode()}"


async def due_decisions(
    client: AsyncRedis, partition: Partition, *, least_ms: int = 0, most: int = MOST_DECISIONS
) -> list[Undecided]:
    """Decisions that nobody has made within ``least_ms`` since they were given to somebody, or began.

    Raises:
        LostError: Redis lost its state.
    """
    args = _decisions.args(generation=partition.generation, least_ms=least_ms, most=most)
    flat: list[Any] = partition.check(await _decisions.run(client, partition.keys.meta, args))[1]
    return [
        Undecided(
            flat[at],
            int(flat[at + 1]),
            flat[at + 2],
            dict(zip(flat[at + 3][::2], flat[at + 3][1::2], strict=True)),
        )
        for at in range(0, len(flat), 4)
    ]


async def decide(
    client: AsyncRedis, partition: Partition, by: str, decided: Sequence[tuple[Undecided, Decided]]
) -> list[str]:
    """Hands in what decisions came to; a word for each: ``ok``, or ``stale``: somebody else was first, or it
    is not to be made any more.

    Raises:
        LostError: Redis lost its state.
    """
    args = _decide.args(generation=partition.generation, by=_encode(by))
    for one, outcome in decided:
        args += (one.member, one.attempt, _LETTERS[outcome.says], outcome.payload)
    reply = partition.check(await _decide.run(client, partition.keys.meta, args))
    return [word.decode() for word in reply[1]]
