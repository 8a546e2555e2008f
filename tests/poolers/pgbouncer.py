"""A real pgbouncer in front of the session's Postgres."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from held_port import held_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PATIENCE_SECONDS = 60.0

_CONFIGURATION = """
[databases]
* = host={sockets} port=5432 user=flower

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 20
logfile = {folder}/pgbouncer.log
"""


@contextlib.contextmanager
def pgbouncer(database_url: str, folder: Path, mode: str) -> Generator[str]:
    """Runs it in front of a database of an embedded Postgres; yields the database's URL through it."""
    assert PROGRAM is not None
    address = urlsplit(database_url)
    (sockets,) = parse_qs(address.query)["host"]
    with held_port() as port:
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(sockets=sockets, port=port, mode=mode, folder=folder)
            + ("user = nobody\n" if os.geteuid() == 0 else "")
        )
        if os.geteuid() == 0:
            # It does not run as root, and neither does Postgres, whose folders root has closed.
            for path in (folder, *folder.parents, Path(sockets), *Path(sockets).parents):
                if path.stat().st_uid == 0 and str(path) not in ("/", "/tmp"):
                    path.chmod(path.stat().st_mode | 0o011)
            shutil.chown(folder, "nobody")
        url = f"postgresql://flower@127.0.0.1:{port}{address.path}"
        with subprocess.Popen([PROGRAM, "-q", configuration]) as process:
            try:
                _wait_until_it_answers(url)
                yield url
            finally:
                process.terminate()


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
