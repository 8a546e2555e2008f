"""Data of an embedded Postgres, made once and copied: initdb costs ten times as much as the copy."""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from memory_folder import memory_folder


def prepare_postgres(home: Home) -> None:
    """Gives a new data folder, which the caller holds, the data of a Postgres that was started once."""
    if not home.postgres.exists():
        subprocess.run(["cp", "-a", _made(), home.postgres], check=True)  # with its owner


@functools.cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="flower-tests-", dir=memory_folder()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Home(folder) as home:
        postgres = EmbeddedPostgres(home, durable=False)
        postgres.start()
        postgres.stop()
    return home.postgres
