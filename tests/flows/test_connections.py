"""How long whoever uses the stores waits for a connection to Postgres."""

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from flower_engine.flows import postgres_stores
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.log.client import connect
from flower_engine.projection.database import make_pool
from flower_engine.runtime.clock import SystemClock
from flower_engine.runtime.settings_loading import load_settings


async def test_postgres_is_away_where_that_was_seen_and_not_where_nobody_listens_yet(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_stores, "_WAIT_AWAY_SECONDS", 0.0)
    settings = load_settings(redis_url=redis_url, database_url=database_url)
    async with connect(redis_url) as redis, make_pool(database_url, "test", max_size=1) as pool:
        stores = PostgresStores(redis, pool, settings, SystemClock())
        async with stores.primary() as connection:  # which is made now
            await connection.execute("SELECT 1")
            stores.listener.failed(psycopg.OperationalError("it does not answer"))
            with pytest.raises(PoolTimeout):
                async with stores.primary():
                    pass
