"""The transition ``signal``: something of the world has happened that flows wait for."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.values.key_parts import escape
from flower_engine.transitions.loader import Script

_signal = Script("operator/signal")
_encode = msgspec.json.Encoder().encode

Word = Literal["taken", "kept", "known", "full", "spent", "unawaited", "absent", "other"]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A signal as somebody sends it; ``payload`` is JSON. It counts once in a flow, by its ``id``."""

    name: str
    id: str
    by: str
    key: str = ""
    payload: bytes = b"null"


class Signalled(msgspec.Struct, frozen=True):
    """What became of a signal in a flow. ``taken``: by this task; ``kept``: for one that will await it;
    ``known``: it came before; ``full``: the flow keeps as many as it may; ``spent``: it got as
    many as it may in all; ``unawaited``: no task awaits it;
    ``absent``: the flow is not under way; ``other``: another flow got it first."""

    flow: str
    word: Word
    task: int = 0


async def signal(
    client: AsyncRedis,
    partition: Partition,
    sent: Sent,
    flows: Sequence[str],
    mode: Literal["keep", "each", "first"] = "keep",
) -> list[Signalled]:
    """Sends a signal to flows, in this order. ``keep``: what no task awaits is kept; ``each``: it is not;
    ``first``: neither, and only the first flow in which a task awaits it gets it (for an hour, however often
    it is sent).

    Raises:
        LostError: Redis lost its state.
    """
    args = _signal.args(
        flows,
        generation=partition.generation,
        name=escape(sent.name),
        key=escape(sent.key),
        name_json=_encode(sent.name),
        key_json=_encode(sent.key),
        by=_encode(sent.by),
        id=sent.id,
        id_json=_encode(sent.id),
        payload=sent.payload,
        mode=mode,
    )
    reply = partition.check(await _signal.run(client, partition.keys.meta, args))
    return [_signalled(flow, word.decode()) for flow, word in zip(flows, reply[1:], strict=True)]


def _signalled(flow: str, word: str) -> Signalled:
    kind, _, task = word.partition(" ")
    return Signalled(flow, msgspec.convert(kind, Word), int(task or 0))
