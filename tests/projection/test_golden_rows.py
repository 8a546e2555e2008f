"""Each event does to the tables what was written down by hand, beside the code that says it."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from flower_engine.projection import database
from flower_engine.projection.database import Connection
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.projected_positions import Projected
from flower_engine.projection.write.writer import Writer
from projection.golden_rows import (
    FOLDER,
    NAMES,
    TYPES,
    archive_after,
    archived,
    entries,
    events,
    golden,
    held,
    rows_after,
    story,
)
from projection.rows import expected


@pytest.fixture(scope="module")
def one_database(postgres_url: str) -> Iterator[str]:
    """One database for all of these, which empty it themselves."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE golden_rows")
        yield postgres_url.replace("@/flower", "@/golden_rows")
        admin.execute("DROP DATABASE golden_rows WITH (FORCE)")


@pytest.fixture(scope="module")
async def one_connection(one_database: str) -> AsyncIterator[Connection]:
    async with await database.connect(one_database, "test") as connection:
        await migrate(connection)
        yield connection


@pytest.fixture
async def writer(one_connection: Connection) -> Writer:
    await one_connection.execute("TRUNCATE kr_task_stat, kr_flow_stat, kr_event, kr_projection")
    await one_connection.execute("INSERT INTO kr_projection VALUES (0, NULL, 'here', 1, 1)")
    row = Projected(partition=0, position=None, installation="here", generation="1", partitions=1)
    return Writer(one_connection, row)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("name", NAMES)
async def test_an_event_does_to_the_tables_what_is_written_down(
    one_connection: Connection, writer: Writer, name: str, size: int
) -> None:
    files = story(name)
    log = entries(files)
    while log:
        batch = await make_batch(0, log[:size])
        assert await writer.write(batch)
        log = log[len(batch.entries) :]
    assert await held(one_connection) == rows_after(files)
    assert await archived(one_connection) == archive_after(files)


@pytest.mark.parametrize("name", NAMES)
def test_the_fold_says_what_is_written_down(name: str) -> None:
    files = story(name)
    written = rows_after(files)
    flows, tasks = expected(events(files))
    for said, row in [
        *zip(flows, written["kr_flow_stat"].values(), strict=True),
        *zip(tasks, written["kr_task_stat"].values(), strict=True),
    ]:
        assert said == {column: row.get(column) for column in said} | _json_null(row)


def _json_null(row: dict[str, object]) -> dict[str, object]:
    return {"result": None} if row.get("result") == "json null" else {}


@pytest.mark.parametrize("kind", TYPES)
def test_every_event_type_has_golden_rows(kind: str) -> None:
    assert [name for name in NAMES if name.startswith(f"{kind}/")], (
        f"no file in tests/golden/rows/{kind}/: write there what the event does (tests/golden/README.md)"
    )


@pytest.mark.parametrize("name", NAMES)
def test_golden_rows_lie_in_the_folder_of_their_event(name: str) -> None:
    assert golden(name)["event"]["type"] == (FOLDER / name).parent.name
