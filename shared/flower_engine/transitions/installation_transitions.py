"""The transitions install, grow and halt: a partition's meta is made once, it is told which others there are,
and its services are fenced off; retire and clear: it is closed where it is empty, and its keys go."""

from collections.abc import Collection
from typing import Any, Literal

from flower_engine.errors import InstallationError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Meta, Partition, numbers_text
from flower_engine.transitions.loader import Script

_install = Script("projector/install")
_grow = Script("projector/grow")
_halt = Script("projector/halt")
_retire = Script("projector/retire")
_clear = Script("projector/clear")

_SCAN_KEYS = 1_000
_NO_POSITION = "0-0"


async def install(
    client: AsyncRedis, number: int, installation: str, partitions: int, in_all: int | None = None
) -> Meta:
    """Makes the partition's meta, unless somebody did; returns the one that holds. ``partitions``: how many
    there were at first, ``in_all``: how many there are (default: the same).

    Raises:
        InstallationError: it was made for another number of partitions.
    """
    keys = Keys(number)
    reply: list[bytes] = await _install.run(
        client,
        keys.meta,
        _install.args(
            installation=installation, partition=number, partitions=partitions, in_all=in_all or partitions
        ),
    )
    meta = Meta(reply[1].decode(), reply[2].decode(), int(reply[3]), in_all=int(reply[4]))
    if meta.partitions != partitions:
        raise InstallationError(
            f"Redis holds an installation of {meta.partitions} partitions; FLOWER_PARTITIONS is {partitions}."
            " The number is fixed at first start: set it back"
        )
    return meta


async def tell_others(
    client: AsyncRedis,
    number: int,
    in_all: int,
    gone: Collection[int] = (),
    *,
    is_retiring: bool = False,
) -> None:
    """Tells a partition how many there ever were, which of them nobody works on, and whether it gets no new
    flows; whoever works on it looks for the others."""
    args = _grow.args(in_all=in_all, gone=numbers_text(gone), retiring="1" if is_retiring else "")
    await _grow.run(client, Keys(number).meta, args)


Closed = Literal["ok", "moved", "kept", "lost"]


async def retire(client: AsyncRedis, number: int, generation: str, position: str | None) -> Closed:
    """Closes a partition in which nothing has happened behind that position; see ``retire.lua``."""
    args = _retire.args(generation=generation, position=position or _NO_POSITION)
    reply: list[bytes] = await _retire.run(client, Keys(number).meta, args)
    word: Any = reply[0].decode()
    return word


async def clear(client: AsyncRedis, number: int, generation: str) -> bool:
    """Removes all keys of a partition that was closed at that generation, but ``meta``, which says so.
    False: it is not."""
    prefix = Keys(number).prefix
    cursor = 0
    while True:
        cursor, found = await send(client, "SCAN", cursor, "MATCH", prefix + "*", "COUNT", _SCAN_KEYS)
        names = [key.decode().removeprefix(prefix) for key in found]
        names = [name for name in names if name != "meta"]
        args = _clear.args(names, generation=generation, is_last=int(cursor == 0))
        if (await _clear.run(client, Keys(number).meta, args))[0] != b"ok":
            return False
        if cursor == 0:
            return True


async def halt(client: AsyncRedis, partition: Partition, why: str) -> None:
    """Makes every later transition of this partition answer ``lost``."""
    await _halt.run(client, partition.keys.meta, _halt.args(generation=partition.generation, why=why))
