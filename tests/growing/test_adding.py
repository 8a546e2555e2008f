"""Partitions are added to an installation: by one, by two at once, and by some that are killed meanwhile."""

import asyncio

import pytest

from flower_engine.errors import InstallationError, LostError, PostgresBehindError, RefusedError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition, read_meta, routed_over
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.projection import database
from flower_engine.projection.database import Connection, Pool
from flower_engine.projection.definitions.flow_control_rows import put_control
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.adding_partitions import add_partitions
from flower_engine.runtime.flow_control_sync import try_to_bring_control
from flower_engine.runtime.gap_bridge import bridge_gaps
from flower_engine.runtime.growth import Growth
from flower_engine.runtime.installation import check_installation, ensure_installation
from flower_engine.runtime.loss_recovery import recover_lost
from flower_engine.runtime.partitions_in_redis import open_partitions
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.flow_control_transitions import read_held
from recovery.command import flower

STEPS = ("made", "limited", "told:1", "told:2", "told:3", "committed")


def say_nothing(_what: str, _done: int, _total: int) -> None: ...


async def counts(client: AsyncRedis, number: int) -> list[int]:
    """How many partitions each of so many says that there are (0: it is not there)."""
    metas = [await read_meta(client, one) for one in range(number)]
    return [0 if meta is None else meta.count for meta in metas]


async def in_postgres(connection: Connection) -> list[tuple[int, int]]:
    return [(row.partition, row.partitions) for row in await read_positions(connection)]


async def test_partitions_that_are_added_are_known_to_both_stores_and_to_all_services(
    client: AsyncRedis, connection: Connection, pool: Pool, settings: Settings
) -> None:
    before = await open_partitions(client, settings)
    growth = Growth(client, before, [0, 1])
    assert await growth.look() is None
    made = await add_partitions(client, connection, 2)
    assert [one.number for one in made] == [2, 3]
    assert await counts(client, 5) == [4, 4, 4, 4, 0]
    assert await in_postgres(connection) == [(0, 2), (1, 2), (2, 2), (3, 2)]
    assert await growth.look() == [0, 1, 2, 3]
    for partitions in (
        await open_partitions(client, settings),
        await ensure_installation(client, pool, settings),
        await check_installation(client, connection, settings),
    ):
        assert partitions is not None
        assert [one.number for one in partitions] == [0, 1, 2, 3]
        assert routed_over(partitions) == 2, "keys and schedules stay where they are"


@pytest.mark.parametrize("partitions", [2, 3, 4])
async def test_services_may_be_told_any_number_that_there_was(
    client: AsyncRedis, connection: Connection, pool: Pool, settings: Settings, partitions: int
) -> None:
    await add_partitions(client, connection, 2)
    told = settings.model_copy(update={"partitions": partitions})
    assert len(await open_partitions(client, told)) == 4
    assert len(await ensure_installation(client, pool, told)) == 4


@pytest.mark.parametrize("partitions", [1, 5])
async def test_another_number_is_refused_with_what_to_do(
    client: AsyncRedis, connection: Connection, pool: Pool, settings: Settings, partitions: int
) -> None:
    await add_partitions(client, connection, 2)
    told = settings.model_copy(update={"partitions": partitions})
    words = rf"holds an installation of 4 partitions \(2 at first\); FLOWER_PARTITIONS is {partitions}"
    with pytest.raises(InstallationError, match=words) as refused:
        await ensure_installation(client, pool, told)
    assert ("--add 1" in str(refused.value)) is (partitions == 5)
    with pytest.raises(InstallationError, match=words):
        await open_partitions(client, told)


async def test_two_operators_at_once_add_one_after_the_other(
    client: AsyncRedis, connection: Connection, database_url: str
) -> None:
    async with await database.connect(database_url, "other") as other:
        made = await asyncio.gather(add_partitions(client, connection, 2), add_partitions(client, other, 3))
    assert sorted(one.number for each in made for one in each) == [2, 3, 4, 5, 6]
    assert await counts(client, 8) == [7] * 7 + [0]
    assert len(await read_positions(connection)) == 7


@pytest.mark.parametrize("step", STEPS)
async def test_whoever_is_killed_at_any_step_leaves_an_engine_that_works_and_can_grow(
    client: AsyncRedis, connection: Connection, pool: Pool, settings: Settings, step: str
) -> None:
    crashing = {"FLOWER_CRASH_AT": f"growing.{step}"}
    code, _ = await flower(settings, "partitions", "--add", "2", environment=crashing)
    assert code == -9
    is_done = step == "committed"
    assert len(await read_positions(connection)) == (4 if is_done else 2), "all of them, or none"
    worked_on = await ensure_installation(client, pool, settings)
    assert len(worked_on) == (4 if is_done else 2)
    assert len(await open_partitions(client, settings)) >= len(worked_on)
    await add_partitions(client, connection, 1)
    count = 5 if is_done else 3
    assert await in_postgres(connection) == [(number, 2) for number in range(count)]
    assert [one.number for one in await ensure_installation(client, pool, settings)] == list(range(count))
    assert (await flower(settings, "verify"))[0] == 0


async def test_what_is_limited_is_limited_in_new_partitions_before_flows_come(
    client: AsyncRedis, connection: Connection
) -> None:
    await put_control(connection, FlowControl(scope="queue", name="default", max_running=12))
    rows = await read_positions(connection)
    known = [Partition(row.partition, row.installation, row.generation) for row in rows]
    assert await try_to_bring_control(client, connection, known) is not None
    made = await add_partitions(client, connection, 2)
    held = [(await read_held(client, one)).limits["q:default"] for one in (*known, *made)]
    assert held == ["6 - - 0", "6 - - 0", "0 - - 0", "0 - - 0"]


async def test_a_lost_partition_is_recovered_before_others_are_added(
    client: AsyncRedis, connection: Connection
) -> None:
    await send(client, "HDEL", Keys(1).meta, "generation")
    with pytest.raises(LostError, match=r"partition 1 .*add partitions when that is done"):
        await add_partitions(client, connection, 1)
    assert await counts(client, 3) == [2, 2, 0]


async def test_more_than_flow_ids_can_name_are_refused(client: AsyncRedis, connection: Connection) -> None:
    with pytest.raises(RefusedError, match="4096 at most"):
        await add_partitions(client, connection, 4095)


async def test_a_redis_that_lost_everything_is_recovered_with_all_partitions(
    client: AsyncRedis, connection: Connection, settings: Settings
) -> None:
    await add_partitions(client, connection, 2)
    await send(client, "FLUSHALL")
    recovered = await recover_lost(client, settings, say_nothing)
    assert [one.partition for one in recovered] == [0, 1, 2, 3]
    assert await counts(client, 5) == [4, 4, 4, 4, 0]
    assert [one.number for one in await open_partitions(client, settings)] == [0, 1, 2, 3]


async def test_a_redis_of_before_hears_again_how_many_there_are(
    client: AsyncRedis, connection: Connection, pool: Pool, settings: Settings
) -> None:
    """A backup in which nothing had happened since, so that partitions 0 and 1 are not lost."""
    await add_partitions(client, connection, 2)
    for number in range(2):
        await send(client, "HDEL", Keys(number).meta, "in_all")
    for number in range(2, 4):
        await send(client, "DEL", Keys(number).meta, Keys(number).log)
    recovered = await recover_lost(client, settings, say_nothing)
    assert [one.partition for one in recovered] == [2, 3]
    await ensure_installation(client, pool, settings)
    assert await counts(client, 4) == [4, 4, 4, 4]
    assert len(await open_partitions(client, settings)) == 4


async def test_a_postgres_of_before_hears_again_of_partitions_with_a_history(
    client: AsyncRedis, connection: Connection, pool: Pool, settings: Settings
) -> None:
    await add_partitions(client, connection, 2)
    await send(client, "XADD", Keys(2).log, "*", "e", '{"type":"outcome.refused"}')
    await connection.execute("DELETE FROM kr_projection WHERE partition >= 2")
    worked_on = await ensure_installation(client, pool, settings)
    assert [one.number for one in worked_on] == [0, 1, 2], "nothing ever was in partition 3"
    assert await in_postgres(connection) == [(0, 2), (1, 2), (2, 2)]


async def test_a_postgres_of_before_is_bridged_where_the_log_was_trimmed(
    client: AsyncRedis, connection: Connection, pool: Pool, settings: Settings, database_url: str
) -> None:
    await add_partitions(client, connection, 1)
    event = b'{"type":"control.changed","at":1,"name":"g","settings":{},"by":""}'
    last = await send(client, "XADD", Keys(2).log, "*", "e", event)
    await send(client, "XTRIM", Keys(2).log, "MINID", last)
    await connection.execute("DELETE FROM kr_projection WHERE partition >= 2")
    with pytest.raises(PostgresBehindError, match=r"partition 2 with a history.*--bridge"):
        await ensure_installation(client, pool, settings)
    assert len(await bridge_gaps(client, database_url, say_nothing)) == 1
    assert len(await ensure_installation(client, pool, settings)) == 3
