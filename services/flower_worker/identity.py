"""Who a worker is: its id, and what operators see of it."""

import os
import re
import secrets
import socket
import time

from flower_engine.insight.published_signatures import digest_of
from flower_engine.programs.registry import Registry
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.worker_transitions import WorkerInfo
from flower_worker.signature_publisher import signatures_of

_UNFIT = re.compile(r"[^A-Za-z0-9._-]")
_HOST_CHARACTERS = 64


def make_worker_info(settings: Settings, registry: Registry, queues: tuple[str, ...]) -> WorkerInfo:
    """A new worker's description; its id is ``<host>-<pid>-<random>`` of ``[A-Za-z0-9._-]`` only."""
    host, pid = socket.gethostname(), os.getpid()
    fit_host = _UNFIT.sub("_", host)[:_HOST_CHARACTERS] or "host"
    return WorkerInfo(
        worker=f"{fit_host}-{pid}-{secrets.token_hex(4)}",
        host=host,
        pid=pid,
        started_ms=time.time_ns() // 1_000_000,
        slots=settings.concurrency,
        queues=queues,
        programs=tuple(sorted(program.name for program in registry)),
        tells_version=True,
        signatures=digest_of(signatures_of(registry)),
    )
