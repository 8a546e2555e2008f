"""``flower migrate``: tables before any service, whoever else makes them at the same time."""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from typer.testing import CliRunner

from cli.whole_command import app
from databases import EMPTY, fresh_database
from flower_schema import migrations


@pytest.fixture
def empty_url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database without tables, and nothing of Redis."""
    with fresh_database(postgres_url, EMPTY) as url:
        monkeypatch.setenv("FLOWER_DATABASE_URL", url)
        monkeypatch.delenv("FLOWER_REDIS_URL", raising=False)
        yield url


def test_tables_are_made_once_however_many_do_it_at_once(empty_url: str) -> None:
    runner = CliRunner()
    before = runner.invoke(app, ["migrate", "--check"])
    assert (before.exit_code, before.stdout) == (1, "there are no tables yet\n")
    command = [sys.executable, "-m", "flower_cli", "migrate"]
    two = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = " ".join(process.communicate(timeout=120)[0] for process in two)
    assert [process.returncode for process in two] == [0, 0]
    assert [said.count(one.name) for one in migrations()] == [1] * len(migrations())
    for words in (["migrate"], ["migrate", "--check"]):
        done = runner.invoke(app, words)
        assert (done.exit_code, done.stdout) == (0, "the tables are up to date\n")
    with psycopg.connect(empty_url) as connection:
        told = connection.execute(
            "SELECT act, (details ->> 'migrations')::int FROM kr_audit WHERE by LIKE 'shell:%'"
        ).fetchall()
    assert {act for act, _ in told} == {"engine.migrated"}
    assert sum(count for _, count in told) == len(migrations())


def test_what_is_missing_is_said_and_a_postgres_that_is_away_too(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["migrate"]).exit_code == 0
    with psycopg.connect(empty_url) as connection:
        connection.execute("DELETE FROM flower_migration WHERE name = %s", [migrations()[-1].name])
    done = runner.invoke(app, ["migrate", "--check"])
    assert (done.exit_code, done.stdout) == (1, "missing: 1 migration\n")
    monkeypatch.setenv("FLOWER_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    done = subprocess.run(
        [sys.executable, "-m", "flower_cli", "migrate"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
