"""Puts the data of a version before into stores that have nothing yet."""

import base64
import gzip
import json
import subprocess
from pathlib import Path

import msgspec

from compat.old_engine import postgres_program
from flower_engine.embedded.embedded_stores import Addresses
from flower_engine.log.client import connect_blocking, send_blocking

_DATA = Path(__file__).parent / "data"
EVERY_KIND = sorted(_DATA.glob("*/every-kind"))
"""Of each version that there is data of: flows of every kind, in one partition."""
BRIDGED = sorted(_DATA.glob("*/bridged"))
"""Of each: flows in three partitions, a part of whose history is lost."""


class Left(msgspec.Struct, frozen=True):
    """How a flow was left: its id and status, and the status and attempt of its first tasks."""

    flow: str
    status: str
    tasks: list[str]


def read_flows(data: Path) -> dict[str, Left]:
    """The flows by label."""
    return msgspec.json.decode((data / "flows.json").read_bytes(), type=dict[str, Left])


def load_redis(addresses: Addresses, data: Path) -> None:
    """Keys that have a time to live get all of it again."""
    rows = json.loads(gzip.decompress((data / "redis.json.gz").read_bytes()))
    with connect_blocking(addresses.redis_url) as client:
        for key, left_ms, payload in rows:
            send_blocking(client, "RESTORE", key, max(left_ms, 0), base64.b64decode(payload))


def load_postgres(addresses: Addresses, data: Path) -> None:
    subprocess.run(
        [postgres_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", addresses.database_url],
        input=gzip.decompress((data / "postgres.sql.gz").read_bytes()),
        stdout=subprocess.DEVNULL,
        check=True,
    )
