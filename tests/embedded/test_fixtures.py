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
def test_a_test_begins_with_tables_that_are_empty(database_url: str, _turn: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE left_over ()")
        assert connection.execute("SELECT FROM kr_event").rowcount == 0
        connection.execute("INSERT INTO ms_task_definition VALUES ('left', 1, 'over', 0)")
        assert connection.execute("SELECT FROM ms_task_definition").rowcount == 1


@pytest.mark.no_tables
@pytest.mark.parametrize("_turn", [1, 2])
def test_one_of_a_first_start_begins_without_tables(database_url: str, _turn: int) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").rowcount == 0
        connection.execute("CREATE TABLE left_over ()")
