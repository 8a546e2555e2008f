"""The tables are the seed's, column by column, with additions that may be NULL."""

from collections.abc import Sequence

import psycopg
import pytest

from flower_engine.projection.database import Connection
from flower_schema import example_rows

Column = tuple[str, str, int | None, str]

TEXT_256 = ("character varying", 256)
TEXT_1024 = ("character varying", 1024)
NUMERIC = ("numeric", None)
TIME = ("timestamp with time zone", None)

MS_TASK_DEFINITION: list[Column] = [
    ("task_id", *TEXT_256, "NO"),
    ("task_seq", *NUMERIC, "NO"),
    ("program", *TEXT_256, "NO"),
    ("task_priority", *NUMERIC, "NO"),
    *((f"param{n}_{part}", *TEXT_1024, "YES") for n in range(1, 6) for part in ("key", "value")),
]
KR_TASK_STAT: list[Column] = [
    ("task_flow_id", *TEXT_256, "NO"),
    ("task_exec_seq", *NUMERIC, "NO"),
    ("depends_task_exec_seq", *NUMERIC, "NO"),
    ("task_id", *TEXT_256, "NO"),
    ("task_seq", *NUMERIC, "NO"),
    ("exec_status", *NUMERIC, "NO"),
    ("task_priority", *NUMERIC, "NO"),
    ("parameters", "json", None, "NO"),
    *((f"{moment}_ts", *TIME, "YES") for moment in ("registered", "started", "finished", "suspended")),
]


@pytest.mark.parametrize(
    ("table", "seeds", "key"),
    [
        ("ms_task_definition", MS_TASK_DEFINITION, ["task_id", "task_seq"]),
        ("kr_task_stat", KR_TASK_STAT, ["task_flow_id", "task_exec_seq"]),
    ],
)
async def test_a_table_of_the_seed_begins_with_the_seeds_columns_and_has_its_key(
    tables: Connection, table: str, seeds: Sequence[Column], key: list[str]
) -> None:
    found = await tables.execute(
        "SELECT column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
        [table],
    )
    columns = await found.fetchall()
    assert columns[: len(seeds)] == list(seeds)
    assert {nullable for *_, nullable in columns[len(seeds) :]} == {"YES"}
    found = await tables.execute(
        "SELECT usage.column_name FROM information_schema.table_constraints AS made"
        " JOIN information_schema.key_column_usage AS usage USING (constraint_name, table_name)"
        " WHERE made.constraint_type = 'PRIMARY KEY' AND made.table_name = %s"
        " ORDER BY usage.ordinal_position",
        [table],
    )
    assert [name for (name,) in await found.fetchall()] == key


async def test_the_numerics_of_the_seed_have_no_limit(tables: Connection) -> None:
    found = await tables.execute(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type = 'numeric' AND numeric_precision IS NOT NULL"
    )
    assert await found.fetchone() == (0,)


async def test_the_seeds_example_is_defined_once_however_often_it_is_applied(tables: Connection) -> None:
    for _ in range(2):
        await tables.execute(example_rows())
    found = await tables.execute(
        "SELECT task_id, task_seq::int, program, task_priority::int, param1_key, param1_value, param2_value"
        " FROM ms_task_definition ORDER BY task_seq"
    )
    assert await found.fetchall() == [
        ("example", 1, "EchoRandomTimeSleep", 10, None, None, None),
        ("example", 2, "EchoParamTimeSleep", 10, "SLEEP_TIME_SECOND", "3", None),
        ("example", 3, "HTTPPostRequest", 10, "URL", "https://postman-echo.com/post", '{"id": "test"}'),
    ]


async def test_an_event_is_archived_once_at_most(tables: Connection) -> None:
    insert = "INSERT INTO kr_event (partition, position_ms, position_seq) VALUES (0, %s, 0)"
    await tables.execute(insert, [1_790_000_000_000])
    with pytest.raises(psycopg.errors.UniqueViolation):
        await tables.execute(insert, [1_790_000_000_000])


DEFINE = (
    "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority)"
    " SELECT {}, number, 'Noop', 0 FROM generate_series(1, {}) AS number"
)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (DEFINE.format("'big'", 10_000), ["big"]),
        (DEFINE.format("'flow ' || number % 3", 10_000), ["flow 0", "flow 1", "flow 2"]),
        (DEFINE.format("'flow ' || number", 100), sorted(f"flow {number}" for number in range(1, 101))),
        (DEFINE.format("'flow ' || number", 101), [""]),
        ("UPDATE ms_task_definition SET task_id = 'after'", ["after", "before"]),
        ("UPDATE ms_task_definition SET queue = 'other' WHERE task_seq > 1", ["before"]),
        ("DELETE FROM ms_task_definition", ["before"]),
        ("DELETE FROM ms_task_definition WHERE task_id = 'unknown'", []),
        ("TRUNCATE ms_task_definition", [""]),
    ],
)
async def test_a_change_of_definitions_is_told_once_for_each_workflow(
    tables: Connection, change: str, told: list[str]
) -> None:
    await tables.execute(DEFINE.format("'before'", 1_000).encode())
    await tables.execute("LISTEN flower_definitions")
    await tables.execute(change.encode())
    await tables.execute("NOTIFY flower_definitions, 'end'")  # notifications come in the order of commits
    heard: list[str] = []
    async for notice in tables.notifies():
        if notice.payload == "end":
            break
        heard.append(notice.payload)
    assert sorted(heard) == told
