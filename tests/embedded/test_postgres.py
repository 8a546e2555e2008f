"""The embedded Postgres keeps what was committed, whatever ended it, and runs as root or not."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from flower_engine.embedded import binaries, postgres_account
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.embedded.processes import Account, leftovers
from flower_engine.errors import StoreError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A data folder in which Postgres has run: making one takes a while."""
    home = Home(tmp_path_factory.mktemp("made") / "home")
    with home:
        postgres = EmbeddedPostgres(home)
        with psycopg.connect(postgres.start()) as connection:
            connection.execute("CREATE TABLE kept (word text)")
        postgres.stop()
    return home


@pytest.fixture
def home(made_home: Home) -> Iterator[Home]:
    with made_home:
        yield made_home


@pytest.fixture
def postgres(home: Home) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home)
    yield server
    server.stop()


def query(postgres: EmbeddedPostgres, statement: str) -> object:
    assert postgres.url is not None
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


def test_data_is_kept_across_a_restart(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    query(postgres, "INSERT INTO kept VALUES ('restart') RETURNING word")
    postgres.stop()
    assert postgres.pid is None
    postgres.start()
    assert query(postgres, "SELECT count(*) FROM kept WHERE word = 'restart'") == 1


def test_it_is_durable_compares_bytewise_and_listens_on_no_port(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    for name, value in {"fsync": "on", "synchronous_commit": "on", "listen_addresses": ""}.items():
        assert query(postgres, f"SHOW {name}") == value
    assert query(postgres, "SELECT 'Z' < 'a' AND 'z' < 'ä' AND upper('ä') = 'Ä'") is True
    assert query(postgres, "SHOW server_encoding") == "UTF8"


def test_after_kill_9_the_next_start_has_what_was_committed(postgres: EmbeddedPostgres) -> None:
    first = postgres.start()
    query(postgres, "INSERT INTO kept VALUES ('killed') RETURNING word")
    kill(postgres)
    assert postgres.has_ended()
    assert postgres.start() == first
    assert query(postgres, "SELECT count(*) FROM kept WHERE word = 'killed'") == 1


def test_backends_that_outlive_a_killed_server_do_not_stop_the_next(
    home: Home, postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(postgres.start()) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()  # it cannot notice that its server is gone
        kill(postgres)
        resumer = subprocess.Popen(["/bin/sh", "-c", f"sleep 1; kill -CONT {backend.pid}"])
        postgres.start()
        resumer.wait()
        assert not backend.is_running()
        assert len(leftovers("postgres", home.postgres)) > 0


def test_a_pid_file_whose_process_id_is_in_use_again_does_not_stop_the_next(
    home: Home, postgres: EmbeddedPostgres
) -> None:
    postgres.start()
    kill(postgres)
    pid_file = home.postgres / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        postgres.start()
        other.kill()


def test_a_server_left_over_is_stopped_before_the_next_one_starts(
    home: Home, postgres: EmbeddedPostgres
) -> None:
    left_over = EmbeddedPostgres(home)
    left_over.start()
    postgres.start()
    assert left_over.has_ended()
    assert query(postgres, "SELECT 1") == 1
    left_over.stop()


def test_a_data_folder_that_was_half_made_is_made_anew(tmp_path: Path) -> None:
    with Home(tmp_path / "home") as home:
        (home.postgres.parent / "new" / "base").mkdir(parents=True)
        postgres = EmbeddedPostgres(home, durable=False)
        postgres.start()
        assert query(postgres, "SELECT current_database()") == "flower"
        postgres.stop()
        assert not (home.postgres.parent / "new").exists()


def test_data_of_another_version_is_refused(tmp_path: Path) -> None:
    with Home(tmp_path / "home") as home:
        home.postgres.mkdir()
        (home.postgres / "PG_VERSION").write_text("17\n")
        with pytest.raises(StoreError, match="made by Postgres 17, the embedded one is 18"):
            EmbeddedPostgres(home).start()


def test_settings_it_does_not_start_with_are_an_error_that_shows_its_log(
    home: Home, postgres: EmbeddedPostgres
) -> None:
    control = home.postgres / "global" / "pg_control"
    before = control.read_bytes()
    control.write_bytes(b"")
    try:
        with pytest.raises(StoreError, match=r"(?s)exit code.*pg_control"):
            postgres.start()
    finally:
        control.write_bytes(before)
    assert postgres.pid is None


@needs_root
def test_root_runs_it_as_nobody_even_inside_a_folder_of_root_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with Home(tmp_path / "home") as home:
        postgres = EmbeddedPostgres(home, durable=False)
        postgres.start()
        assert postgres.pid is not None
        assert psutil.Process(postgres.pid).uids().effective == 65534
        for closed in (home.run, home.postgres.parent):  # no other process of nobody gets through
            found = closed.stat()
            assert (found.st_uid, found.st_mode & 0o777) == (0, 0o700)
        postgres.stop()


@needs_root
def test_root_runs_it_even_when_the_installation_is_in_a_folder_of_root_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = binaries.postgres_program("postgres").parents[1]  # <site-packages>/<package>/pginstall/bin
    site, package = installed.parents[1], installed.parent.name
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(installed, closed / package / installed.name, symlinks=True)
    if (site / f"{package}.libs").exists():
        shutil.copytree(site / f"{package}.libs", closed / f"{package}.libs", symlinks=True)
    programs = closed / package / installed.name / "bin"
    monkeypatch.setattr(binaries, "postgres_program", lambda name: programs / name)  # pyright: ignore
    with Home(closed / "home") as home:
        postgres = EmbeddedPostgres(home, durable=False)
        postgres.start()
        assert query(postgres, "SELECT 1") == 1
        postgres.stop()


@needs_root
def test_without_the_capability_a_closed_folder_on_the_way_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_account, "may_keep_access", lambda: False)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with Home(closed / "home") as home, pytest.raises(StoreError, match=r"user 65534, .* may not enter /"):
        EmbeddedPostgres(home).start()


@needs_root
def test_without_the_capability_open_folders_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Account(65534, 65534, keeps_access=False)
    try:
        postgres_account.check_the_way(binaries.postgres_program("postgres"), plain)
    except StoreError:
        pytest.skip("this installation itself is in a folder that only root may enter")
    monkeypatch.setattr(postgres_account, "may_keep_access", lambda: False)
    folder = Path("/tmp") / f"flower-test-{os.getpid()}"
    try:
        with Home(folder) as home:
            postgres = EmbeddedPostgres(home, durable=False)
            postgres.start()
            assert query(postgres, "SELECT 1") == 1
            postgres.stop()
    finally:
        shutil.rmtree(folder)


def kill(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    os.waitid(os.P_PID, postgres.pid, os.WEXITED | os.WNOWAIT)
