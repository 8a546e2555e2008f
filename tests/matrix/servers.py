"""Servers of the system, not those that come along, for the tests that their versions can break."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import psycopg
from redis.exceptions import RedisError

from flower_engine.log.client import connect_blocking, send_blocking

_PATIENCE_SECONDS = 30.0
_POSTGRES = "postgresql://flower@/{database}?host={sockets}"


def redis_servers(stack: ExitStack, count: int) -> Iterator[tuple[str, list[str]]]:
    """Name with version, and the addresses of so many servers, of each kind that is installed."""
    for command in ("redis-server", "valkey-server"):
        program = shutil.which(command)
        if program is not None:
            said = subprocess.run(
                [program, "--version"], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            version = said.split("v=")[1].split()[0]
            yield f"({command}) {version}", [_redis(stack, program) for _ in range(count)]


def _redis(stack: ExitStack, program: str) -> str:
    folder = _folder(stack)
    socket = folder / "redis.sock"
    words = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    _start(stack, [program, *words, "--appendonly", "yes", "--appendfsync", "no"], folder)
    url = f"unix://{socket}"

    def answers() -> bool:
        with connect_blocking(url) as client:
            return bool(send_blocking(client, "PING"))

    _wait(program, answers)
    return url


def postgres_servers(stack: ExitStack, count: int) -> Iterator[tuple[str, list[str]]]:
    """The same of each Postgres that is installed as Debian does it, or that is on the PATH."""
    places = {place for place in Path("/usr/lib/postgresql").glob("*/bin") if (place / "initdb").exists()}
    if (found := shutil.which("initdb")) is not None:
        places.add(Path(found).resolve().parent)
    for place in sorted(places):
        program = str(place / "postgres")
        said = subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
        yield said.split()[2], [_postgres(stack, place) for _ in range(count)]


def _postgres(stack: ExitStack, place: Path) -> str:
    folder = _folder(stack)
    user = None
    if os.geteuid() == 0:  # Postgres refuses to run as root
        user = next(name for name in ("postgres", "nobody") if _is_user(name))
        shutil.chown(folder, user)
    data = folder / "data"
    made = [
        str(place / "initdb"),
        "-D",
        str(data),
        "-U",
        "flower",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale",
        "C.UTF-8",
    ]
    subprocess.run([*made, "--no-sync"], cwd=folder, check=True, stdout=subprocess.DEVNULL, user=user)
    words = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    _start(stack, [str(place / "postgres"), "-D", str(data), *words, "-c", "timezone=UTC"], folder, user)
    admin = _POSTGRES.format(database="postgres", sockets=quote(str(folder), safe=""))

    def is_made() -> bool:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("CREATE DATABASE flower")
        return True

    _wait(str(place), is_made)
    return admin.replace("@/postgres", "@/flower")


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _folder(stack: ExitStack) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="flower-matrix-"))
    folder.chmod(0o755)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _start(stack: ExitStack, command: list[str], folder: Path, user: str | None = None) -> None:
    log = stack.enter_context((folder / "log").open("wb"))
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, user=user)
    stack.callback(process.wait)
    stack.callback(process.terminate)


def _wait(name: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if condition():
                return
        except (OSError, psycopg.OperationalError, RedisError) as error:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{name} does not answer: {error}") from error
        time.sleep(0.1)
