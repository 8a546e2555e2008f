"""``flower up`` starts everything, keeps it running, and ends it, whatever happens to it or its children."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from cli.up_process import CANNOT_RUN, NEVER_ENDS, stub_services, up, urls, wait_until
from flower_engine.embedded.home import Home
from flower_engine.log.client import connect_blocking, send_blocking
from prepared_postgres import prepare_postgres
from process_commands import command_of, name_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all tests here: each leaves it usable for the next."""
    folder = tmp_path_factory.mktemp("up") / "home"
    with Home(folder) as held:
        prepare_postgres(held)
    return folder


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stub_services(tmp_path_factory.mktemp("stubs"))


def end_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are still alive after they had time to end."""
    return psutil.wait_procs(processes, timeout=120)[1]


def test_it_runs_stores_and_services_and_leaves_nothing(home: Path, stubs: Path, tmp_path: Path) -> None:
    with up(home, tmp_path / "log", "--queue", "a", "--queue", "b", stubs=stubs, anew=True) as running:
        printed = running.wait_until_running()
        addresses = urls(home)
        for url in addresses.values():
            assert url in printed
        names = {name_of(child) for child in running.children()}
        assert {"valkey-server", "postgres"} <= names
        wait_until(lambda: running.log().count("queues (") == 3)  # the API answers before the others work
        children = running.children()
        assert running.stop() == 0
        assert end_of(children) == []
        log = running.log()
    assert "Redis: embedded" in log
    assert "Postgres: embedded" in log
    assert f"queues ('a', 'b'), redis {addresses['redis_url']}" in log
    assert log.count("drained") == 3
    assert log.rstrip().endswith("stopped")


def test_ctrl_c_ends_it_well(home: Path, stubs: Path, tmp_path: Path) -> None:
    with up(home, tmp_path / "log", stubs=stubs) as running:
        running.wait_until_running()
        assert running.stop(signal.SIGINT) == 0


def test_a_second_one_on_the_same_folder_or_port_is_refused(home: Path, stubs: Path, tmp_path: Path) -> None:
    with up(home, tmp_path / "log", stubs=stubs) as running:
        running.wait_until_running()
        with up(home, tmp_path / "second", stubs=stubs) as second:
            assert second.process.wait(timeout=120) == 1
            assert f"{home} is in use by process {running.process.pid}" in second.log()
        port = urls(home)["api_url"].rpartition(":")[2]
        with up(tmp_path / "other", tmp_path / "third", "--port", port, stubs=stubs) as third:
            assert third.process.wait(timeout=120) == 2
            assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in third.log()
            assert "embedded" not in third.log()  # it was said before anything started


def test_after_kill_9_nothing_is_left_and_the_next_has_the_data(
    home: Path, stubs: Path, tmp_path: Path
) -> None:
    with up(home, tmp_path / "log", stubs=stubs, anew=True) as running:
        running.wait_until_running()
        addresses = urls(home)
        with connect_blocking(addresses["redis_url"]) as client:
            send_blocking(client, "SET", "kept", "yes")
        with psycopg.connect(addresses["database_url"]) as connection:
            connection.execute("CREATE TABLE kept ()")
        children = running.children()
        running.process.kill()
        running.process.wait()
    with up(home, tmp_path / "log", stubs=stubs) as running:
        running.wait_until_running()
        assert end_of(children) == []
        addresses = urls(home)
        with connect_blocking(addresses["redis_url"]) as client:
            assert send_blocking(client, "GET", "kept") == b"yes"
        with psycopg.connect(addresses["database_url"]) as connection:
            connection.execute("DROP TABLE kept")


def test_a_child_that_is_killed_comes_back(home: Path, stubs: Path, tmp_path: Path) -> None:
    with up(home, tmp_path / "log", stubs=stubs) as running:
        running.wait_until_running()
        before = urls(home)
        for name in ("worker", "postgres", "valkey-server"):
            killed = running.await_pid_of(name)
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda name=name, killed=killed: running.pid_of(name) not in {None, killed})
        with connect_blocking(before["redis_url"]) as client:
            wait_until(lambda: _answers(client))
        assert urls(home) == before
        assert running.stop() == 0


def test_a_store_that_is_killed_each_time_it_starts_ends_nothing_else(
    home: Path, stubs: Path, tmp_path: Path
) -> None:
    with up(home, tmp_path / "log", stubs=stubs) as running:
        running.wait_until_running()
        before = urls(home)
        others = [running.await_pid_of("worker"), running.await_pid_of("valkey-server")]
        killed: set[int | None] = {None}

        def kill_the_next() -> bool:
            pid = running.pid_of("postgres")
            if pid is not None and pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            # One that answered before it was killed has started.
            return len(killed) >= 4 and "postgres did not start on" in running.log()

        wait_until(kill_the_next, pause_seconds=0.01)
        wait_until(lambda: _accepts(before["database_url"]))
        assert urls(home) == before
        assert [running.pid_of("worker"), running.pid_of("valkey-server")] == others
        assert running.stop() == 0


def _accepts(database_url: str) -> bool:
    try:
        psycopg.connect(database_url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_service_that_cannot_run_ends_it_with_that_message(home: Path, stubs: Path, tmp_path: Path) -> None:
    broken = stub_services(tmp_path / "stubs", projector=CANNOT_RUN)
    with up(home, tmp_path / "log", stubs=broken) as running:
        assert running.process.wait(timeout=120) == 1
        last = running.log().rstrip().splitlines()[-1]
    assert last == "error: projector cannot run (3 attempts): Redis went back in time: restore it"


def test_a_second_signal_does_not_wait_for_the_services(home: Path, tmp_path: Path) -> None:
    stuck = stub_services(tmp_path / "stubs", worker=NEVER_ENDS)
    with up(home, tmp_path / "log", "--grace-seconds", "600", stubs=stuck) as running:
        running.wait_until_running()
        children = running.children()
        running.process.terminate()
        wait_until(lambda: "stopping the services" in running.log())
        assert running.stop() == 0
        assert end_of(children) == []


def test_given_stores_are_used_instead(
    stubs: Path, tmp_path: Path, redis_url: str, database_url: str
) -> None:
    environment = {"FLOWER_REDIS_URL": redis_url, "FLOWER_DATABASE_URL": database_url}
    with up(tmp_path / "home", tmp_path / "log", stubs=stubs, environment=environment) as running:
        running.wait_until_running()
        found = urls(tmp_path / "home")
        assert (found["redis_url"], found["database_url"]) == (redis_url, database_url)
        assert not {"valkey-server", "postgres"} & {name_of(child) for child in running.children()}
        assert running.stop() == 0
    assert "Redis: external" in running.log()


def test_passwords_of_given_stores_are_in_no_log_no_output_and_no_list_of_processes(
    stubs: Path, tmp_path: Path, redis_url: str, database_url: str
) -> None:
    secret = "hunter2xyzzy"
    environment = {
        "FLOWER_REDIS_URL": redis_url.replace("unix://", f"unix://default:{secret}@"),
        "FLOWER_DATABASE_URL": database_url.replace("flower@", f"flower:{secret}@"),
        "FLOWER_API_TOKENS": f"ann:{secret}token",
    }
    home = tmp_path / "home"
    with up(home, tmp_path / "log", stubs=stubs, environment=environment, anew=True) as running:
        printed = running.wait_until_running()
        wait_until(lambda: running.log().count("queues") == 3)  # the stubs log the address of Redis
        commands = [command_of(child) for child in running.children()]
        services = {command[-1] for command in commands if command}
        assert {"api", "projector", "watcher", "worker"} <= services
        shown = [printed, running.log(), str(commands), str(urls(home))]
        assert urls(home, "--show-secrets")["redis_url"] == environment["FLOWER_REDIS_URL"]
        assert running.stop() == 0
    assert "default:***@" in running.log()
    for text in (*shown, running.log()):
        assert secret not in text


def test_an_env_file_of_the_working_folder_is_read_and_said(home: Path, stubs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    (folder / ".env").write_text("FLOWER_QUEUES=from_file\nFLOWER_LOG_LEVEL=INFO\n")
    with up(
        home, tmp_path / "log", stubs=stubs, cwd=folder, environment={"FLOWER_LOG_LEVEL": "DEBUG"}
    ) as running:
        running.wait_until_running()
        wait_until(lambda: "queues ('from_file',)" in running.log())
        assert running.stop() == 0
    assert running.log().count(f"read from {folder / '.env'}: FLOWER_QUEUES") == 1
    assert "not taken from" in running.log()


def test_several_workers_run_at_once(home: Path, stubs: Path, tmp_path: Path) -> None:
    with up(home, tmp_path / "log", "--workers", "2", stubs=stubs) as running:
        running.wait_until_running()

        def workers() -> int:
            return sum(command_of(child)[-1:] == ["worker"] for child in running.children())

        wait_until(lambda: workers() == 2)


@pytest.mark.parametrize("given", ["", "file:///srv/blobs"])
def test_workers_keep_blobs_in_its_api_unless_told_otherwise(home: Path, tmp_path: Path, given: str) -> None:
    said = tmp_path / "said"
    worker = f"""
import os
async def serve(settings, stop):
    with open({str(said)!r} + ".part", "w") as file:
        print(settings.blobs, settings.url, settings.token.get_secret_value(), file=file)
    os.rename({str(said)!r} + ".part", {str(said)!r})
    await stop.wait()
"""
    environment = {
        "FLOWER_API_TOKENS": "ann:R-SECRET-1:read,bob:W-SECRET-2",
        "FLOWER_TOKEN": "of-another-engine",
        "FLOWER_URL": "http://elsewhere:8000",
        "FLOWER_BLOBS": given,
    }
    stubs = stub_services(tmp_path / "stubs", worker=worker)
    with up(home, tmp_path / "log", stubs=stubs, environment=environment) as running:
        running.wait_until_running()
        wait_until(said.exists)
        url = urls(home)["api_url"]
    assert said.read_text() == f"{(given or 'api',)} {url} W-SECRET-2\n"


def test_its_services_have_a_port_for_metrics_each_and_its_log_is_objects(home: Path, tmp_path: Path) -> None:
    tells = """
import asyncio, logging, sys
async def serve(settings, stop):
    logging.getLogger("stub").info("port %s", settings.metrics_port)
    print("printed", file=sys.stderr, flush=True)
    await stop.wait()
"""
    stubs = stub_services(tmp_path / "stubs", worker=tells, watcher=tells, projector=tells)
    environment = {"FLOWER_METRICS_PORT": "9100", "FLOWER_LOG_FORMAT": "json"}
    with up(home, tmp_path / "log", "--workers", "2", stubs=stubs, environment=environment) as running:
        wait_until(lambda: running.log().count('"port ') == 4 and running.log().count('"printed"') == 4)
        wait_until(lambda: "Flower is running at http://127.0.0.1:" in running.log())
        assert running.stop() == 0
    lines = [json.loads(line) for line in running.log().splitlines()]
    ports = {line["service"]: line["message"] for line in lines if line["logger"] == "stub"}
    assert ports == {
        "projector": "port 9101",
        "watcher": "port 9102",
        "worker-1": "port 9103",
        "worker-2": "port 9104",
    }
    printed = {line["service"] for line in lines if line["message"] == "printed"}
    assert printed == ports.keys()


def test_ports_for_metrics_beyond_the_last_are_refused(home: Path, tmp_path: Path) -> None:
    environment = {"FLOWER_METRICS_PORT": "65533"}
    with up(home, tmp_path / "log", environment=environment) as running:
        assert running.process.wait(timeout=120) == 2
    assert "FLOWER_METRICS_PORT = 65533: each of the 4 services takes one" in running.log()


def test_a_command_without_stores_says_how_to_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flower_cli", "urls", "--home", str(tmp_path / "home")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "flower up" in ended.stderr
    assert "FLOWER_REDIS_URL and FLOWER_DATABASE_URL" in ended.stderr
    assert not (tmp_path / "home").exists()


def test_all_that_is_wrong_with_the_settings_is_said_at_once_with_exit_code_2(tmp_path: Path) -> None:
    environment = {**os.environ, "FLOWER_LEASE_SECONDS": "inf", "FLOWER_REDIS_URL": "redis://host:abc/0"}
    command = [sys.executable, "-m", "flower_cli", "worker", "--home", str(tmp_path / "home")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 2
    assert "FLOWER_LEASE_SECONDS = 'inf'" in ended.stderr
    assert "FLOWER_REDIS_URL: cannot be read" in ended.stderr
    assert "Traceback" not in ended.stderr


def _answers(client: Redis) -> bool:
    try:
        return bool(send_blocking(client, "PING"))
    except RedisError:
        return False
