"""Rows of ms_flow_control and ms_strike may hold anything where people wrote them with SQL."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from api.serving import RunningApi, details
from api.test_limits import held, put
from api.test_strikes import strike
from databases import ReusedDatabase, fresh_database
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.projection.database import connect
from flower_engine.projection.definitions import flow_control_rows
from flower_watcher.flow_control import ControlLoop

_DROP_CHECKS = """
DO $$ DECLARE found record; BEGIN
    FOR found IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
        WHERE contype = 'c' AND conrelid IN ('ms_strike'::regclass, 'ms_flow_control'::regclass)
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.name, found.conname); END LOOP;
END $$
"""

STRIKE_VALUES = [
    ("repeat('9', 5000)::jsonb", "its value cannot be read"),
    ("'1e400'::jsonb", "beyond 9007199254740991"),
    ("'9007199254740993'::jsonb", "beyond 9007199254740991"),
    ("('0.' || repeat('1', 5000))::jsonb", ""),
    ("to_jsonb(repeat('x', 70000))", "longer than 65536"),
    ("'null'::jsonb", "no text, number, true or false"),
    ("'[1]'::jsonb", "no text, number, true or false"),
    ("(repeat('[', 3000) || repeat(']', 3000))::jsonb", "its value cannot be read"),
]


@pytest.fixture(scope="module")
def databases_without_checks(postgres_url: str, with_tables: str) -> Iterator[ReusedDatabase]:
    with fresh_database(postgres_url, with_tables) as template:
        with psycopg.connect(template, autocommit=True) as connection:
            connection.execute(_DROP_CHECKS)
            name = connection.info.dbname
        reused = ReusedDatabase(postgres_url, name)
        yield reused
        reused.close()


@pytest.fixture
def database_without_checks(databases_without_checks: ReusedDatabase) -> Iterator[str]:
    """One in which rows may be as they were before there were checks."""
    with databases_without_checks.borrowed() as url:
        yield url


@pytest.fixture
def unchecked_api(database_without_checks: str, start_api: Callable[..., RunningApi]) -> RunningApi:
    """An API on such a database, which is emptied when the API has ended."""
    return start_api(database_url=database_without_checks)


async def watch(api: RunningApi) -> list[str]:
    """What a watcher does about the tables as they are."""
    url = api.settings.database_url or ""
    async with api.engine() as engine, await connect(url, "test") as connection:
        return await ControlLoop(engine.client, [engine.partition], url).run_once(connection)


@pytest.mark.parametrize(("value", "said"), STRIKE_VALUES)
async def test_a_strike_that_cannot_be_is_told_and_everything_else_goes_on(
    unchecked_api: RunningApi, value: str, said: str
) -> None:
    unchecked_api.sql(
        "INSERT INTO ms_strike (strike_id, program, parameter, value, made_by, reason)"  # noqa: S608
        f" VALUES ('s', 'Nope', 'zz', {value}, repeat('m', 100000), repeat('r', 100000))"
    )
    good = strike(unchecked_api, parameter="customer", value=7)
    listed = unchecked_api.client.get("/strikes").json()
    assert good in listed["strikes"]
    if said:
        (unreadable,) = listed["unreadable"]
        assert said in unreadable.pop("problem")
        assert unreadable == {"id": "s", "program": "Nope", "parameter": "zz"}
    put(unchecked_api, "queue/zz", maxRunning=2)
    assert unchecked_api.client.get("/limits").json()["limits"][0]["name"] == "zz"
    assert await watch(unchecked_api) == []
    assert {"q:zz", "x:A"} <= (await held(unchecked_api)).keys()
    assert unchecked_api.client.delete("/strikes/s").status_code == 204


@pytest.mark.parametrize(("value", "said"), [one for one in STRIKE_VALUES if one[1]])
def test_the_table_refuses_new_rows_of_the_kind(api: RunningApi, value: str, said: str) -> None:
    with pytest.raises(psycopg.Error, match=r"check constraint"):
        api.sql(
            f"INSERT INTO ms_strike (strike_id, program, parameter, value) VALUES ('s', 'N', 'z', {value})"  # noqa: S608
        )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"max_running": -5}, "max_running is -5, outside 1..1000000"),
        ({"max_flows": 2**31 - 1}, "max_flows is 2147483647"),
        ({"weight": "NaN"}, "it cannot be read"),
        ({"weight": "Infinity"}, "it cannot be read"),
        ({"weight": "-1"}, "weight is -1"),
        ({"rate": 1, "rate_period_seconds": "NaN"}, "it cannot be read"),
        ({"at_max_flows": "explode"}, "it cannot be read"),
        ({"limit_by": "x" * 5_000, "max_per_key": 1}, "limit_by is longer than 1024 characters"),
        ({"fair_by": "x" * 500_000}, "fair_by is longer than 1024 characters"),
        ({"scope": "gobal"}, "it cannot be read"),
        ({"scope": "global"}, "the scope global has no name"),
    ],
)
async def test_a_limit_that_cannot_be_is_told_and_everything_else_goes_on(
    unchecked_api: RunningApi, columns: dict[str, Any], said: str
) -> None:
    row = {"scope": "workflow", "name": "a/b\n", "reason": "r" * 100_000, **columns}
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    unchecked_api.sql(f"INSERT INTO ms_flow_control ({names}) VALUES ({marks})", *row.values())  # noqa: S608
    put(unchecked_api, "program/A", maxRunning=2)
    listed = unchecked_api.client.get("/limits").json()
    assert [limit["name"] for limit in listed["limits"]] == ["A"]
    (unreadable,) = listed["unreadable"]
    assert said in unreadable.pop("problem")
    assert unreadable == {"scope": row["scope"], "name": "a/b\n"}
    assert await watch(unchecked_api) == []
    assert await held(unchecked_api) == {"p:A": "2 - - 0"}
    unchecked_api.define("a", {})
    unchecked_api.register("a")


async def test_a_write_that_redis_cannot_take_is_not_stored(own_api: RunningApi) -> None:
    put(own_api, "program/A", maxRunning=2)
    kept = strike(own_api, parameter="customer", value=7)
    before = own_api.client.get("/limits").json()
    assert own_api.settings.redis_url is not None
    with connect_blocking(own_api.settings.redis_url) as client:
        send_blocking(client, "CONFIG", "SET", "min-replicas-to-write", 1)
        try:
            writes = [
                own_api.client.put("/limits/program/A", json={"maxRunning": 9}),
                own_api.client.put("/limits/queue/q", json={"isPaused": True}),
                own_api.client.delete("/limits/program/A"),
                own_api.client.post("/strikes", json={"program": "A", "parameter": "n", "value": 1}),
                own_api.client.delete(f"/strikes/{kept['id']}"),
            ]
        finally:
            send_blocking(client, "CONFIG", "SET", "min-replicas-to-write", 0)
    assert [reply.status_code for reply in writes] == [503] * 5
    assert own_api.client.get("/limits").json() == before
    assert own_api.client.get("/strikes").json()["strikes"] == [kept]
    assert (await held(own_api))["p:A"] == "2 - - 0"


def test_a_transaction_that_stays_open_is_said_to_be_in_the_way(
    own_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = flow_control_rows._PATIENCE  # pyright: ignore[reportPrivateUsage]
    with psycopg.connect(own_api.settings.database_url or "") as other, monkeypatch.context() as impatience:
        impatience.setattr(flow_control_rows, "_PATIENCE", patience.replace("'5s'", "'200ms'"))
        other.execute("INSERT INTO ms_flow_control (scope, name) VALUES ('queue', 'q')")
        reply = own_api.client.put("/limits/program/A", json={"maxRunning": 9})
        assert reply.status_code == 503
        assert "another transaction keeps the tables of flow control locked" in details(reply)[0]
        other.rollback()
    assert own_api.client.put("/limits/program/A", json={"maxRunning": 9}).status_code == 200


def _go_back(api: RunningApi) -> None:
    """Postgres as a backup of the time before any limit would have it."""
    for statement in (
        "ALTER TABLE ms_flow_control DISABLE TRIGGER ALL",
        "DELETE FROM ms_flow_control",
        "UPDATE kr_flow_control_version SET version = 1",
        "ALTER TABLE ms_flow_control ENABLE TRIGGER ALL",
    ):
        api.sql(statement)


async def test_what_is_answered_holds_after_postgres_went_back(own_api: RunningApi) -> None:
    for most in (5, 6, 7):
        put(own_api, "program/A", maxRunning=most)
    _go_back(own_api)
    put(own_api, "program/A", maxRunning=3)
    assert await held(own_api) == {"p:A": "3 - - 0"}
    assert own_api.client.delete("/limits/program/A").status_code == 204
    assert await held(own_api) == {}


async def test_a_watcher_brings_what_stands_after_postgres_went_back(own_api: RunningApi) -> None:
    for most in (5, 6, 7):
        put(own_api, "program/A", maxRunning=most)
    put(own_api, "queue/q", isPaused=True)
    _go_back(own_api)
    assert own_api.client.get("/limits").json() == {"limits": []}
    assert await watch(own_api) == ["p:A", "q:q"]
    assert await held(own_api) == {}


@pytest.mark.parametrize(
    "settings", [{"maxFlows": 1, "atMaxFlows": "reject"}, {"limitBy": "x", "maxPerKey": 1}]
)
async def test_a_limit_that_is_not_lent_and_below_the_number_of_partitions_is_refused_or_told(
    start_api: Callable[..., RunningApi], settings: dict[str, Any]
) -> None:
    api = start_api(partitions=2)
    refused = api.client.put("/limits/workflow/w", json=settings)
    assert refused.status_code == 422
    assert "fewer than there are partitions (2)" in details(refused)[0]
    put(api, "workflow/w", **{name: 2 if value == 1 else value for name, value in settings.items()})
    assert "problem" not in api.client.get("/limits").json()["limits"][0]
    api.sql("UPDATE ms_flow_control SET limit_by = 'x', max_per_key = 1")
    (row,) = api.client.get("/limits").json()["limits"]
    assert row["problem"].startswith("max_per_key is 1, fewer than there are partitions (2)")


@pytest.mark.parametrize("settings", [{"maxRunning": 1}, {"maxFlows": 1}, {"rate": 1}])
async def test_a_limit_that_is_lent_may_be_below_the_number_of_partitions_and_its_shares_are_shown(
    start_api: Callable[..., RunningApi], settings: dict[str, Any]
) -> None:
    api = start_api(partitions=2)
    put(api, "workflow/w", **settings)
    (row,) = api.client.get("/limits").json()["limits"]
    assert "problem" not in row
    assert row["shares"] == {next(iter(settings)): {"0": 1, "1": 0}}
