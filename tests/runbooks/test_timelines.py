"""A Postgres that was behind takes over: what it lacks is lost, and one that still has it follows nobody."""

from pathlib import Path

import psycopg

from cluster.servers import wait_for
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.flows.read_replica import Viewer
from flower_engine.model.values.seen_position import SeenPosition, lsn_of, timeline_of
from flower_engine.projection.database import connect
from flower_engine.projection.read.wal_positions import WalPosition, read_wal_position
from prepared_postgres import prepare_postgres
from runbooks.postgres_pairs import promote, running_follower


async def _at(url: str) -> WalPosition:
    async with await connect(url, "test") as connection:
        return await read_wal_position(connection)


def _write(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO written SELECT generate_series(1, %s)", [rows])


def _wait_until_it_has(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        wait_for(
            f"{rows} rows to be there",
            lambda: connection.execute("SELECT count(*) FROM written").fetchone() == (rows,),
        )


async def test_one_that_is_ahead_on_the_timeline_before_answers_nobody_who_saw_the_new_one(
    tmp_path: Path,
) -> None:
    with Home(tmp_path / "first") as home:
        prepare_postgres(home)
        first = EmbeddedPostgres(home, durable=False)
        url = first.start()
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE written (number integer)")
            with (
                running_follower(url, tmp_path / "behind") as (behind, behind_url),
                running_follower(url, tmp_path / "ahead") as (_, ahead_url),
            ):
                _write(url, 10)
                _wait_until_it_has(behind_url, 10)
                behind.stop()
                _write(url, 10_000)
                _wait_until_it_has(ahead_url, 10_010)
                seen_before = Viewer(SeenPosition(), may_ask_replica=True)
                seen_before.saw(await _at(url))
                first.stop()
                promoted = behind.start()
                promote(promoted)
                _write(promoted, 1)
                now, ahead = await _at(promoted), await _at(ahead_url)
                assert (timeline_of(now.wal), timeline_of(ahead.wal)) == (2, 1)
                assert lsn_of(ahead.wal) > lsn_of(now.wal)
                viewer = Viewer(SeenPosition(), may_ask_replica=True)
                viewer.saw(now)
                assert not viewer.may_be_told(ahead)
                # What somebody saw of the one before comes no more; he goes by what he sees of the new one.
                seen_before.saw(now)
                assert seen_before.seen.wal == now.wal
                with running_follower(promoted, tmp_path / "new") as (_, new_url):
                    _wait_until_it_has(new_url, 11)
                    later = await _at(new_url)
                    assert viewer.may_be_told(later)
                    assert seen_before.may_be_told(later)
        finally:
            first.stop()
