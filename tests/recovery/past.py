"""An engine that lived days ago: its stores and its API, in a process on an earlier clock (``FAKETIME``).

Writes the ids of some flows that ended then. libfaketime is used where it is there: Debian's package, or a
wheel.
"""

import asyncio
import importlib.util
import os
import select
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from api.serving import RunningApi
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.embedded.valkey import EmbeddedValkey

_DAY_SECONDS = 86_400
_PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")


def clock_of(days: int) -> dict[str, str] | None:
    """What puts the clock of a process back by so many days; None: that cannot be done here."""
    wheel = importlib.util.find_spec("libfaketime")
    folders = [] if wheel is None else [Path(path) for path in wheel.submodule_search_locations or ()]
    found = [path for folder in folders for path in folder.glob("**/libfaketime.so.1")]
    found += [path for place in _PLACES for path in Path("/").glob(place.removeprefix("/"))]
    for path in found:
        clock = {"LD_PRELOAD": str(path), "FAKETIME": f"-{days}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        command = [sys.executable, "-c", "import time; print(time.time())"]
        told = subprocess.run(
            command, env={**os.environ, **clock}, capture_output=True, text=True, check=False
        )
        if told.returncode == 0 and float(told.stdout) < time.time() - (days - 1) * _DAY_SECONDS:
            return clock
    return None


@contextmanager
def engine(folder: Path) -> Generator[RunningApi]:
    """The stores of this data folder, and an API on them."""
    with Home(folder) as home:
        valkey, postgres = EmbeddedValkey(home), EmbeddedPostgres(home)
        try:
            with RunningApi(redis_url=valkey.start(), database_url=postgres.start()) as api:
                yield api
        finally:
            valkey.stop()
            postgres.stop()


async def _live(folder: Path, count: int) -> None:
    with engine(folder) as api:
        api.define("etl", {}, {})
        flows = [api.register("etl") for _ in range(count)]
        async with api.engine() as partition:
            await partition.work_off()
        await api.project()
        sys.stdout.write(" ".join(flows))


def _sleep(seconds: float) -> None:
    """As ``time.sleep``, which asks for a point in time: libfaketime refuses one that has just passed."""
    select.select([], [], [], seconds)


if __name__ == "__main__":
    time.sleep = _sleep
    asyncio.run(_live(Path(sys.argv[1]), int(sys.argv[2])))
