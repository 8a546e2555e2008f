"""The transitions install and halt: a partition's meta is made once, and its services are fenced off."""

from flower_engine.errors import InstallationError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Meta, Partition
from flower_engine.transitions.loader import Script

_install = Script("projector/install")
_halt = Script("projector/halt")


async def install(client: AsyncRedis, number: int, installation: str, partitions: int) -> Meta:
    """Makes the partition's meta, unless somebody did; returns the one that holds.

    Raises:
        InstallationError: it was made for another number of partitions.
    """
    keys = Keys(number)
    reply: list[bytes] = await _install.run(
        client,
        keys.meta,
        _install.args(installation=installation, partition=number, partitions=partitions),
    )
    meta = Meta(reply[1].decode(), reply[2].decode(), int(reply[3]))
    if meta.partitions != partitions:
        raise InstallationError(
            f"Redis holds an installation of {meta.partitions} partitions; FLOWER_PARTITIONS is {partitions}."
            " The number is fixed at first start: set it back"
        )
    return meta


async def halt(client: AsyncRedis, partition: Partition, why: str) -> None:
    """Makes every later transition of this partition answer ``lost``."""
    await _halt.run(client, partition.keys.meta, _halt.args(generation=partition.generation, why=why))
