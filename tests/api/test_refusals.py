"""Who is refused is counted in the audit: by minute, address and name, and never in more than a few rows."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.serving import PATIENCE_SECONDS, RunningApi
from api.test_backfills import stores
from flower_api.refusals import MOST_A_MINUTE, RefusalsLoop, place_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.database import connect
from flower_engine.projection.definitions.refusal_rows import MOST_A_DAY, note_refusals
from flower_engine.runtime.clock import ManualClock

__all__ = ["stores"]

TOKENS = "alice:s3cret-token,ci:other-token:read"
NOW_MS = 1_800_000_000_000


@pytest.fixture
def refusals(stores: PostgresStores) -> tuple[RefusalsLoop, ManualClock]:
    """A loop whose time is moved by hand."""
    clock = ManualClock(NOW_MS)
    return RefusalsLoop(stores, clock), clock


def rows(api: RunningApi) -> list[tuple[str, str, int, int]]:
    """By whom, from where, with which status and how often, in the order of the alphabet."""
    return api.sql(
        "SELECT by, name, (details ->> 'status')::int, (details ->> 'count')::int FROM kr_audit"
        " WHERE act = 'access.refused' ORDER BY by, name, 3, at_ms"
    )


def test_whom_tokens_do_not_let_in_is_counted(start_api: Callable[..., RunningApi]) -> None:
    api = start_api(api_tokens=TOKENS)
    for _ in range(7):
        assert api.client.get("/flows").status_code == 401
    with httpx.Client(base_url=api.url, timeout=PATIENCE_SECONDS, verify=False) as browser:
        assert browser.post("/login", json={"token": "s3cret"}).status_code == 401
    reads = {"Authorization": "Bearer other-token"}
    assert api.client.post("/register/x", headers=reads).status_code == 403
    assert api.client.get("/flows", headers=reads).status_code == 200
    api.wait_for(lambda: sum(count for *_, count in rows(api)) == 9)
    assert {row[:3] for row in rows(api)} == {("ci", "127.0.0.1", 403), ("unknown", "127.0.0.1", 401)}
    told = api.client.get("/audit", params={"what": "access"}, headers=reads).json()["acts"]
    assert {one["by"] for one in told} == {"ci", "unknown"}
    assert "s3cret" not in str(api.sql("SELECT * FROM kr_audit"))


async def test_what_is_counted_last_is_not_lost_when_the_api_stops(
    start_api: Callable[..., RunningApi], own_api: RunningApi
) -> None:
    api = start_api(api_tokens=TOKENS)
    assert api.client.get("/flows").status_code == 401
    api.stop()
    assert [row[3] for row in rows(own_api)] == [1]


async def test_a_flood_of_addresses_makes_a_bounded_number_of_rows(
    own_api: RunningApi, refusals: tuple[RefusalsLoop, ManualClock]
) -> None:
    loop, clock = refusals
    for minute in range(3):
        for number in range(1_000):
            loop.count((f"10.{minute}.{number // 250}.{number % 250}", 1), "unknown", 401)
            if number % 300 == 0:
                await loop.run_once()
        await loop.run_once()
        assert await loop.run_once() == 0
        clock.advance(60_000)
    found = rows(own_api)
    assert len(found) == 3 * (MOST_A_MINUTE + 1)
    assert sum(count for *_, count in found) == 3_000
    assert [count for _, name, _, count in found if name == "others"] == [1_000 - MOST_A_MINUTE] * 3


async def test_a_count_that_is_sent_again_takes_its_own_place(own_api: RunningApi) -> None:
    said = {"status": 401, "api": "host:1"}
    async with await connect(own_api.settings.database_url or "", "test") as connection:
        for count in (1, 1, 2):  # the reply to the first was lost
            await note_refusals(connection, NOW_MS, "unknown", "10.0.0.1", {**said, "count": count})
        other = {**said, "api": "host:2", "count": 5}
        await note_refusals(connection, NOW_MS, "unknown", "10.0.0.1", other)
    assert rows(own_api) == [("unknown", "10.0.0.1", 401, 2), ("unknown", "10.0.0.1", 401, 5)]


async def test_beyond_the_rows_of_a_day_others_are_counted_by_the_hour(
    own_api: RunningApi, refusals: tuple[RefusalsLoop, ManualClock]
) -> None:
    loop, clock = refusals
    own_api.sql(
        "INSERT INTO kr_audit (at_ms, by, act, name, details)"
        " SELECT %s, 'unknown', 'access.refused', n::text, '{}' FROM generate_series(1, %s) AS n",
        NOW_MS,
        MOST_A_DAY - 1,
    )
    loop.count(("10.0.0.1", 1), "unknown", 401)
    await loop.run_once()
    for minute in range(120):
        loop.count((f"10.0.1.{minute}", 1), f"token {minute}", 401)
        await loop.run_once()
        clock.advance(60_000)
    found = [row for row in rows(own_api) if row[2]]
    assert [(name, count) for _, name, _, count in found] == [("10.0.0.1", 1), ("others", 60), ("others", 60)]
    clock.advance(91 * 86_400_000)
    loop.count(("10.0.0.9", 1), "unknown", 401)
    await loop.run_once()
    assert len(rows(own_api)) == 1


async def test_while_postgres_is_away_counts_are_held_in_bounds(
    own_api: RunningApi, refusals: tuple[RefusalsLoop, ManualClock]
) -> None:
    loop, clock = refusals
    for minute in range(100):
        for number in range(50):
            loop.count((f"10.1.{minute}.{number}", 1), "unknown", 401)
        clock.advance(60_000)
    assert loop.held <= 201
    await loop.run_once()
    assert sum(count for *_, count in rows(own_api)) == 5_000


@pytest.mark.parametrize(
    ("client", "place"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("a socket" * 20, 1), ("a socket" * 20)[:64]),
        (None, "unknown"),
    ],
)
def test_an_address_is_what_one_machine_has(client: Any, place: str) -> None:
    assert place_of(client) == place
