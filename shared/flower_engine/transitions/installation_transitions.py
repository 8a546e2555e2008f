"""The transitions install, grow and halt: a partition's meta is made once, it is told that there are more
partitions, and its services are fenced off."""

from flower_engine.errors import InstallationError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Meta, Partition
from flower_engine.transitions.loader import Script

_install = Script("projector/install")
_grow = Script("projector/grow")
_halt = Script("projector/halt")


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


async def tell_count(client: AsyncRedis, number: int, in_all: int) -> None:
    """Tells a partition how many there are; whoever works on it looks for the others."""
    await _grow.run(client, Keys(number).meta, _grow.args(in_all=in_all))


async def halt(client: AsyncRedis, partition: Partition, why: str) -> None:
    """Makes every later transition of this partition answer ``lost``."""
    await _halt.run(client, partition.keys.meta, _halt.args(generation=partition.generation, why=why))
