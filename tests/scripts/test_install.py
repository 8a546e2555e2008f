"""install: a partition's meta is made once."""

import asyncio

import pytest

from flower_engine.errors import InstallationError
from flower_engine.log.partition import read_meta
from flower_engine.log.reader import read_log, wait_for_log
from flower_engine.model.events.events import LogOpened
from flower_engine.transitions.installation_transitions import install
from scripts.engine import Engine, task


async def test_the_log_opens_with_its_installation(engine: Engine) -> None:
    (opened,) = await engine.events()
    assert opened == LogOpened(at=opened.at, installation="test-installation", generation=1, partition=0)


async def test_what_was_installed_can_be_read(engine: Engine) -> None:
    meta = await read_meta(engine.client, 0)
    assert meta == await install(engine.client, 0, "test-installation", 1)
    assert await read_meta(engine.client, 1) is None


async def test_a_second_installer_learns_who_was_first(engine: Engine) -> None:
    before = await engine.raw_events()
    meta = await install(engine.client, 0, "too-late", 1)
    assert (meta.installation, meta.generation) == ("test-installation", "1")
    assert await engine.raw_events() == before


async def test_of_many_installers_at_once_one_wins(engine: Engine) -> None:
    metas = await asyncio.gather(*(install(engine.client, 1, f"i{n}", 2) for n in range(8)))
    assert len({meta.installation for meta in metas}) == 1


async def test_another_number_of_partitions_is_refused(engine: Engine) -> None:
    with pytest.raises(InstallationError, match="an installation of 1 partitions; FLOWER_PARTITIONS is 2"):
        await install(engine.client, 0, "test-installation", 2)


async def test_a_reader_waits_for_the_next_event(engine: Engine) -> None:
    (opened,) = await read_log(engine.client, engine.partition, None, 10)
    assert await wait_for_log(engine.client, engine.partition, None, 1)
    assert not await wait_for_log(engine.client, engine.partition, opened.position, 1)
    waiting = asyncio.create_task(wait_for_log(engine.client, engine.partition, opened.position, 30_000))
    await engine.register(task(1))
    assert await waiting
