"""``flower psql`` and ``flower redis-cli``: real consoles on real stores, and no password among arguments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.serving import RunningApi
from flower_cli.commands.redis_console import lines_of
from flower_cli.commands.store_consoles import redis_cli_arguments

PATIENCE_SECONDS = 120
TELL = '#!/bin/sh\necho "$@"\necho "password=$PGPASSWORD$REDISCLI_AUTH"\n'


def run(*words: str, path: str | Path, given: str = "", **environment: str) -> tuple[int, str, str]:
    """Runs the command with only these folders on the PATH."""
    done = subprocess.run(
        [sys.executable, "-m", "flower_cli", *words],
        env={**os.environ, **environment, "PATH": str(path)},
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A folder with clients that only tell how they were called."""
    for name in ("psql", "redis-cli"):
        (tmp_path / name).write_text(TELL)
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.fixture
def stores(own_api: RunningApi) -> dict[str, str]:
    settings = own_api.settings
    return {
        "FLOWER_REDIS_URL": settings.redis_url or "",
        "FLOWER_DATABASE_URL": settings.database_url or "",
    }


async def test_psql_opens_the_postgres_in_use(
    own_api: RunningApi, stores: dict[str, str], tmp_path: Path
) -> None:
    own_api.define("daily", {})
    flow = own_api.register("daily")
    await own_api.project()
    statement = "SELECT task_flow_id FROM kr_task_stat"
    assert run("psql", "-At", "-c", statement, path=tmp_path, **stores) == (0, f"{flow}\n", "")
    assert run("psql", "-c", "SELECT nothing", path=tmp_path, **stores)[0] != 0


def test_redis_cli_opens_the_redis_in_use_without_a_client_installed(
    own_api: RunningApi, stores: dict[str, str], tmp_path: Path
) -> None:
    key = "{flower:0}:meta"
    code, generation, _ = run("redis-cli", "HGET", key, "partitions", path=tmp_path, **stores)
    assert (code, generation) == (0, "1\n")
    lines = f"HGET {key} partitions\nHGET\nEXISTS {key}\n'open\nquit\nnever\n"
    code, said, wrong = run("redis-cli", path=tmp_path, given=lines, **stores)
    assert said.splitlines()[0] == "1" and "(error)" in said and "(integer) 1" in said
    assert "never" not in said and "is no command" in wrong and code == 1
    _, said, _ = run("redis-cli", path=tmp_path, given=f"PING\nHGETALL {key}\nINFO server\n", **stores)
    assert said.startswith("PONG\n") and '"partitions"\n' in said and "\nredis_version:" in said


def test_passwords_are_not_among_the_arguments(told: Path) -> None:
    urls = {
        "FLOWER_DATABASE_URL": "postgresql://fl:hunt%40er2@db/flower",
        "FLOWER_REDIS_URL": "redis://fl:hunt%40er2@redis:6380/3",
    }
    code, said, _ = run("psql", "-c", "SELECT 1", path=told, **urls)
    arguments, password = said.splitlines()
    assert code == 0 and "hunt" not in arguments and password == "password=hunt@er2"
    assert "user=fl" in arguments and arguments.endswith("-c SELECT 1")
    code, said, _ = run("redis-cli", "PING", path=told, **urls)
    assert said.splitlines() == ["-u redis://redis:6380/3 --user fl PING", "password=hunt@er2"]


def test_an_address_that_postgres_does_not_understand_is_not_repeated(told: Path) -> None:
    code, said, wrong = run(
        "psql",
        path=told,
        FLOWER_DATABASE_URL="postgresql://fl:hunter2%zz@db/flower",
        FLOWER_REDIS_URL="redis://redis",
    )
    assert code == 2 and said == "" and "hunter2" not in wrong and "FLOWER_DATABASE_URL" in wrong


def test_redis_cli_is_told_of_sockets_and_not_of_what_it_cannot_know() -> None:
    assert redis_cli_arguments("unix:///run/redis.sock") == (["-s", "/run/redis.sock"], None)
    assert redis_cli_arguments("rediss://redis:1?ssl_cert_reqs=none") is None
    assert redis_cli_arguments("redis+cluster://one:1,two:2") is None, (
        "the one that it is told of may be away"
    )


def test_replies_are_shown_as_redis_cli_shows_them() -> None:
    assert lines_of(None) == ["(nil)"]
    assert lines_of([]) == ["(empty array)"]
    assert lines_of([b'a"\n\xff', [1, b"x"]]) == ['1) "a\\"\\n\\\\xff"', "2) 1) (integer) 1", '   2) "x"']
