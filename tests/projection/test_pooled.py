"""Where nothing is kept from one transaction to the next, the projection does all that it does elsewhere."""

import psycopg
import pytest

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.definitions.definition_changes import DefinitionChanges
from flower_engine.projection.write.election import Election
from flower_engine.runtime.settings import Settings
from flower_projector.partition_loop import PartitionLoop, Round
from projection.hostile import make_hostile, through_a_pooler


@pytest.fixture(autouse=True)
def _long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was elected stays so to the end of a test, however slow this machine is."""
    monkeypatch.setattr("flower_engine.projection.write.election._LEASE_SECONDS", 600)


async def test_one_projector_has_the_lease_until_it_gives_it_up_or_is_gone(
    tables: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    through_a_pooler(monkeypatch)
    now = 0.0
    async with await connect(database_url, "test") as one, await connect(database_url, "test") as other:
        first = Election(one, 0, monotonic=lambda: now)
        second = Election(other, 0, monotonic=lambda: now)
        assert (await first.hold(), await second.hold()) == (True, False)
        assert await Election(other, 1).hold()  # another partition's
        now += 3
        assert (await first.hold(), await second.hold()) == (True, False)
        await first.give_up()
        assert await second.hold()
        # Killed: nobody renews it.
        await tables.execute("UPDATE kr_projector SET until_ts = now() - interval '1 second'")
        now += 3
        assert (await first.hold(), await second.hold()) == (True, False)
        # Made before the clock of Postgres went back.
        await tables.execute("UPDATE kr_projector SET until_ts = now() + interval '1 hour'")
        now += 3
        assert (await second.hold(), await first.hold()) == (True, False)


async def test_two_projectors_project_each_event_once(
    client: AsyncRedis,
    tables: Connection,
    partition: Partition,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_hostile(settings.database_url or "")
    through_a_pooler(monkeypatch)
    loops = [PartitionLoop(client, partition, settings) for _ in range(2)]
    assert [await loop.run_once() for loop in loops] == [Round.PROJECTED, Round.STANDBY]
    for _ in range(3):
        await send(client, "XADD", Keys(0).log, "*", "e", '{"type":"outcome.refused"}')
        assert [await loop.run_once() for loop in loops] == [Round.PROJECTED, Round.STANDBY]
    await loops[0].close()
    assert await loops[1].run_once() is Round.IDLE
    await loops[1].close()
    rows = await tables.execute("SELECT count(*) FROM kr_event")
    assert await rows.fetchone() == (4,)
    rows = await tables.execute("SELECT count(*) FROM kr_projector")
    assert await rows.fetchone() == (0,)


async def test_each_change_of_definitions_is_told_once_whenever_it_is_committed(
    tables: Connection, database_url: str
) -> None:
    def define(editor: psycopg.Connection, workflow: str) -> None:
        editor.execute(
            "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority)"
            " VALUES (%s, 1, 'A', 0)",
            [workflow],
        )

    changes = DefinitionChanges()
    assert await changes.look(tables) is None
    assert await changes.look(tables) == []
    with psycopg.connect(database_url) as slow, psycopg.connect(database_url, autocommit=True) as quick:
        define(slow, "slow")
        define(quick, "quick")
        assert await changes.look(tables) == ["quick"]
        assert await changes.look(tables) == []
        define(quick, "other")
        slow.commit()
        assert await changes.look(tables) == ["other", "slow"]
        quick.execute("UPDATE ms_task_definition SET program = 'B' WHERE task_id = 'slow'")
        quick.execute("INSERT INTO ms_flow_control (scope, name, max_running) VALUES ('queue', 'q', 1)")
        assert await changes.look(tables) == ["", "slow"]
        quick.execute("TRUNCATE ms_task_definition CASCADE")
        assert await changes.look(tables) == [""]
    assert await changes.look(tables) == []
