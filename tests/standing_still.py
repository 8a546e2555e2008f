"""A process that stands still for a while, with all that it has begun."""

import contextlib
from collections.abc import Generator
from contextlib import contextmanager

import psutil


@contextmanager
def stands_still(pid: int) -> Generator[None]:
    """It and its children, as a Postgres with its backends, answer nothing while inside. One of them may be
    at its end as it is stopped, and gone when it is to go on."""
    server = psutil.Process(pid)
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
