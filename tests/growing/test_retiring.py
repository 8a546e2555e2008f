"""Partitions are retired: they get no new flows, end what they have, and are taken away; by several at once,
and by some that are killed meanwhile."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from flower_engine.errors import LostError, RefusedError, StoreUnavailableError, UnknownPartitionError
from flower_engine.log.client import AsyncRedis, connect_blocking, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition, read_meta
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.projection import database
from flower_engine.projection.database import Connection, Pool
from flower_engine.projection.definitions.flow_control_rows import put_control
from flower_engine.projection.write.projected_positions import read_census, read_positions
from flower_engine.runtime.adding_partitions import add_partitions
from flower_engine.runtime.flow_control_sync import try_to_bring_control
from flower_engine.runtime.growth import Growth
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.lending import shares_of
from flower_engine.runtime.loss_recovery import recover_lost
from flower_engine.runtime.partition_standings import partition_standings
from flower_engine.runtime.partitions_in_redis import open_partitions
from flower_engine.runtime.retiring_partitions import (
    keep_partition,
    retire_partition,
    take_step,
    tell_where_untold,
)
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.flow_control_transitions import read_held
from flower_engine.transitions.installation_transitions import retire
from flower_projector.log_follower import Follower
from recovery.command import flower
from scripts.engine import Engine, task

STEPS = ("leave", "close", "clear", "nothing")


def heard(_number: int, is_leaving: bool) -> bool:
    return is_leaving


@dataclass
class Engines:
    """Two partitions as at first, and two that were added."""

    client: AsyncRedis
    connection: Connection
    settings: Settings
    pool: Pool
    each: list[Engine]

    async def project(self, number: int) -> None:
        assert self.settings.database_url is not None
        async with await database.connect(self.settings.database_url, "projector") as connection:
            follower = Follower(self.client, connection, self.each[number].partition, 1_000)
            while await follower.run_once():
                pass

    async def step(self, number: int = 3) -> str:
        return await take_step(self.client, self.connection, number, heard)

    async def take_away(self, number: int = 3) -> list[str]:
        """All steps until nothing is left to be done."""
        steps = [await self.step(number)]
        while steps[-1] not in ("nothing", "wait"):
            steps.append(await self.step(number))
        return steps

    async def retire(self, number: int = 3) -> None:
        await retire_partition(self.client, self.connection, number)

    async def keys(self, number: int) -> set[str]:
        found: list[bytes] = await send(self.client, "KEYS", f"{{flower:{number}}}:*")
        return {key.decode().partition(":")[2].partition(":")[2] for key in found}

    async def at_work(self) -> list[int]:
        return (await read_census(self.connection)).at_work


@pytest.fixture
async def engines(
    client: AsyncRedis, connection: Connection, settings: Settings, pool: Pool, redis_url: str
) -> AsyncIterator[Engines]:
    await add_partitions(client, connection, 2)
    with connect_blocking(redis_url) as blocking:
        rows = await read_positions(connection)
        each = [Engine(client, blocking, Partition(row.partition, row.installation, "1")) for row in rows]
        for one in each:
            await one.attend("default")
        made = Engines(client, connection, settings, pool, each)
        for number in range(4):
            await made.project(number)
        yield made


async def work_off(engine: Engine) -> None:
    while claims := await engine.claim(10):
        await engine.finish(*claims)


async def test_one_that_is_empty_is_taken_away_and_nobody_works_on_it_any_more(engines: Engines) -> None:
    client, settings = engines.client, engines.settings
    growth = Growth(client, await open_partitions(client, settings), range(4))
    await engines.retire(2)
    assert await growth.look() is None, "it is worked on until it is empty"
    assert await engines.take_away(2) == list(STEPS)
    assert await growth.look() == [0, 1, 3]
    assert await engines.at_work() == [0, 1, 3]
    assert await engines.keys(2) == {"meta"}
    for partitions in (
        await open_partitions(client, settings),
        await ensure_installation(client, engines.pool, settings),
    ):
        assert [one.number for one in partitions] == [0, 1, 3]
    assert (await flower(settings, "verify"))[0] == 0
    assert "all 3 can be worked on" in (await flower(settings, "doctor", words=99))[1]


async def test_it_ends_what_it_has_before_it_goes(engines: Engines) -> None:
    last = engines.each[3]
    await last.register_many(2, task(1))
    await engines.retire()
    assert await engines.take_away() == ["wait"], "nothing of it is projected"
    await engines.project(3)
    assert await engines.take_away() == ["wait"], "two flows are open"
    await work_off(last)
    assert await engines.take_away() == ["wait"], "their ends are not projected"
    await engines.project(3)
    assert await engines.take_away() == list(STEPS)
    found = await partition_standings(engines.client, engines.connection)
    assert [one.state for one in found] == ["", "", "", "retired"]


async def test_a_registration_that_was_late_brings_everybody_back(engines: Engines) -> None:
    last = engines.each[3]
    await engines.retire()
    assert await engines.step() == "leave"
    assert [one.number for one in await open_partitions(engines.client, engines.settings)] == [0, 1, 2]
    await last.register(task(1))
    assert await engines.step() == "come back"
    assert len(await open_partitions(engines.client, engines.settings)) == 4
    await work_off(last)
    await engines.project(3)
    assert await engines.take_away() == list(STEPS)


async def test_one_that_comes_between_the_look_and_the_close_keeps_it_open(engines: Engines) -> None:
    await engines.retire()
    (row,) = [one for one in await read_positions(engines.connection) if one.partition == 3]
    await engines.each[3].register(task(1))
    assert await retire(engines.client, 3, "1", row.position) == "moved"
    await engines.project(3)
    assert await engines.take_away() == ["wait"]


async def test_whoever_is_later_than_the_close_is_refused_and_nothing_is_lost(engines: Engines) -> None:
    await engines.retire()
    await engines.take_away()
    with pytest.raises(LostError):
        await engines.each[3].register(task(1))
    assert await engines.keys(3) == {"meta"}


async def test_lines_that_are_not_stored_yet_keep_it(engines: Engines) -> None:
    await send(engines.client, "XADD", Keys(3).tasklog, "*", "c", "x")
    await engines.retire()
    assert await engines.take_away() == ["wait"]


@pytest.mark.parametrize("number", [0, 1])
async def test_those_that_there_were_at_first_are_refused(engines: Engines, number: int) -> None:
    with pytest.raises(RefusedError, match=r"one of the 2 that there were at first.*added can \(2, 3\)"):
        await engines.retire(number)
    code, said = await flower(engines.settings, "partitions", "--retire", str(number), words=9)
    assert (code, "idempotency" in said) == (1, True), said


async def test_one_that_there_never_was_is_refused_with_those_that_there_are(engines: Engines) -> None:
    with pytest.raises(UnknownPartitionError, match="no partition 9; there are 0, 1, 2, 3"):
        await engines.retire(9)


async def test_it_is_kept_as_long_as_it_was_not_closed(engines: Engines) -> None:
    client, connection = engines.client, engines.connection
    await engines.retire()
    await engines.step()
    await keep_partition(client, connection, 3)
    assert len(await open_partitions(client, engines.settings)) == 4
    assert await engines.step() == "nothing"
    meta = await read_meta(client, 3)
    assert meta is not None and not meta.is_retiring
    await engines.retire()
    await engines.take_away()
    with pytest.raises(RefusedError, match="not coming back"):
        await keep_partition(client, connection, 3)


async def test_what_was_done_is_in_the_audit_in_the_name_of_who_did_it(engines: Engines) -> None:
    client, connection = engines.client, engines.connection
    await retire_partition(client, connection, 3, by="alice")
    await retire_partition(client, connection, 3, by="bob")
    await keep_partition(client, connection, 3)
    await engines.retire()
    await engines.take_away()
    rows = await connection.execute("SELECT act, by, name FROM kr_audit ORDER BY id")
    acts = [(act, by.partition(":")[0], name) for act, by, name in await rows.fetchall()]
    assert acts == [
        ("partition.retiring", "alice", "3"),
        ("partition.kept", "sql", "3"),
        ("partition.retiring", "sql", "3"),
        ("partition.retired", "flower", "3"),
    ]


async def test_two_at_once_retire_it_and_take_it_away_once(engines: Engines) -> None:
    url = engines.settings.database_url or ""
    async with await database.connect(url, "other") as other:

        async def both(call: Callable[[Connection], Awaitable[Any]]) -> tuple[Any, Any]:
            return await asyncio.gather(call(engines.connection), call(other))

        await both(lambda one: retire_partition(engines.client, one, 3))
        found = [await both(lambda one: take_step(engines.client, one, 3, heard)) for _ in range(4)]
    assert {step for two in found for step in two} == {*STEPS}
    assert await engines.at_work() == [0, 1, 2]
    row = await engines.connection.execute("SELECT count(*) FROM kr_audit WHERE act = 'partition.retired'")
    assert await row.fetchone() == (1,)


@pytest.mark.parametrize("step", ["noted", "told", "committed"])
async def test_whoever_is_killed_while_he_retires_it_leaves_an_engine_that_works(
    engines: Engines, step: str
) -> None:
    crashing = {"FLOWER_CRASH_AT": f"retiring.{step}"}
    code, _ = await flower(engines.settings, "partitions", "--retire", "3", environment=crashing)
    assert code == -9
    is_done = step == "committed"
    rows = await read_positions(engines.connection)
    assert [row.is_retiring for row in rows] == [False, False, False, is_done]
    await tell_where_untold(engines.client, engines.connection)
    meta = await read_meta(engines.client, 3)
    assert meta is not None and meta.is_retiring is is_done
    await engines.retire()
    assert await engines.take_away() == list(STEPS)
    assert (await flower(engines.settings, "verify"))[0] == 0


TAKE = """
import asyncio, os
from flower_engine.log.client import connect
from flower_engine.projection import database
from flower_engine.runtime.retiring_partitions import take_step

async def main():
    async with connect(os.environ["FLOWER_REDIS_URL"]) as client:
        async with await database.connect(os.environ["FLOWER_DATABASE_URL"], "taker") as connection:
            while await take_step(client, connection, 3, lambda _, is_leaving: is_leaving) != "nothing":
                pass

asyncio.run(main())
"""


@pytest.mark.parametrize("step", ["left", "closed", "retired", "cleared"])
async def test_whoever_is_killed_while_he_takes_it_away_is_followed_by_another(
    engines: Engines, step: str
) -> None:
    await engines.each[3].register_many(3, task(1))
    await work_off(engines.each[3])
    await engines.project(3)
    await engines.retire()
    environment = {**engines.settings.as_environment(), "FLOWER_CRASH_AT": f"retiring.{step}"}
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TAKE), env={**os.environ, **environment}
    )
    assert await killed.wait() == -9
    assert await recover_lost(engines.client, engines.settings, lambda _what, _done, _total: None) == []
    worked_on = await ensure_installation(engines.client, engines.pool, engines.settings)
    assert [one.number for one in worked_on] in ([0, 1, 2], [0, 1, 2, 3])
    await engines.take_away()
    assert await engines.at_work() == [0, 1, 2]
    assert await engines.keys(3) == {"meta"}
    assert (await flower(engines.settings, "verify"))[0] == 0


async def test_one_that_is_away_or_lost_stops_nothing_but_the_retiring(engines: Engines) -> None:
    await send(engines.client, "DEL", Keys(1).meta)
    with pytest.raises(StoreUnavailableError, match=r"partition 1.*recover it first"):
        await engines.retire()
    assert not any(row.is_retiring for row in await read_positions(engines.connection))


async def test_its_share_of_a_limit_goes_to_the_others(engines: Engines) -> None:
    client, connection = engines.client, engines.connection
    limits = [
        FlowControl(scope="queue", name="default", max_running=12),
        FlowControl(scope="workflow", name="etl", limit_by="x", max_per_key=5),
    ]
    for limit in limits:
        await put_control(connection, limit)
    partitions = [one.partition for one in engines.each]
    assert await try_to_bring_control(client, connection, partitions) is not None
    await engines.project(2)
    await engines.retire(2)
    assert (await engines.take_away(2))[-1] == "nothing"
    left = [one for one in partitions if one.number != 2]
    assert await try_to_bring_control(client, connection, left) is not None
    per_key = [(await read_held(client, one)).limits["wk:etl"] for one in left]
    assert per_key == ["2", "2", "1"], "equal parts of five, for three"
    (shares,) = (await shares_of(client, left, 3, limits)).values()
    assert sum(shares.values()) <= 12


async def test_more_are_added_under_new_numbers(engines: Engines) -> None:
    await engines.retire()
    await engines.take_away()
    made = await add_partitions(engines.client, engines.connection, 1)
    assert [one.number for one in made] == [4]
    assert await engines.at_work() == [0, 1, 2, 4]
    worked_on = await ensure_installation(engines.client, engines.pool, engines.settings)
    assert [one.number for one in worked_on] == [0, 1, 2, 4]
    assert [one.number for one in await open_partitions(engines.client, engines.settings)] == [0, 1, 2, 4]


async def test_a_redis_that_lost_everything_is_recovered_without_it(engines: Engines) -> None:
    await engines.retire(2)
    await engines.take_away(2)
    await send(engines.client, "FLUSHALL")
    recovered = await recover_lost(engines.client, engines.settings, lambda _what, _done, _total: None)
    assert [one.partition for one in recovered] == [0, 1, 3]
    assert [one.number for one in await open_partitions(engines.client, engines.settings)] == [0, 1, 3]
    assert await engines.keys(2) == set()


async def test_one_that_is_being_retired_is_recovered_as_one(engines: Engines) -> None:
    await engines.each[3].register(task(1))
    await engines.project(3)
    await engines.retire()
    await send(engines.client, "FLUSHALL")
    await recover_lost(engines.client, engines.settings, lambda _what, _done, _total: None)
    await ensure_installation(engines.client, engines.pool, engines.settings)
    meta = await read_meta(engines.client, 3)
    assert meta is not None and meta.is_retiring


async def test_a_postgres_of_before_has_it_recovered_from_its_archive(engines: Engines) -> None:
    """As a backup has it that was made before it was retired."""
    await engines.retire()
    await engines.take_away()
    await engines.connection.execute("UPDATE kr_projection SET retiring_ts = NULL, retired_ts = NULL")
    with pytest.raises(LostError, match="partition 3 was retired, and this Postgres is from before"):
        await asyncio.wait_for(_once(engines), 120)
    recovered = await recover_lost(engines.client, engines.settings, lambda _what, _done, _total: None)
    assert [one.partition for one in recovered] == [3]
    assert len(await ensure_installation(engines.client, engines.pool, engines.settings)) == 4
    assert len(await open_partitions(engines.client, engines.settings)) == 4


async def test_a_postgres_from_before_it_was_added_learns_that_it_is_gone(engines: Engines) -> None:
    await engines.retire()
    await engines.take_away()
    await engines.connection.execute("DELETE FROM kr_projection WHERE partition = 3")
    worked_on = await ensure_installation(engines.client, engines.pool, engines.settings)
    assert [one.number for one in worked_on] == [0, 1, 2]
    assert (await read_census(engines.connection)).retired == {3}


async def _once(engines: Engines) -> object:
    return await ensure_installation(engines.client, engines.pool, engines.settings)
