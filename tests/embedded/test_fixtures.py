"""The shared fixtures give every test stores of its own."""

import psycopg
import pytest

from flower_engine.log.client import connect_blocking, send_blocking


@pytest.mark.parametrize("_turn", [1, 2])
def test_a_test_begins_with_an_empty_redis(redis_url: str, _turn: int) -> None:
    with connect_blocking(redis_url) as client:
        assert send_blocking(client, "DBSIZE") == 0
        send_blocking(client, "SET", "left", "over")


@pytest.mark.parametrize("_turn", [1, 2])
def test_a_test_begins_with_an_empty_database(database_url: str, _turn: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE left_over ()")
