"""Who a worker is: its id, and what operators see of it."""

import os
import socket
import time

from flower_engine.insight.published_signatures import digest_of
from flower_engine.programs.registry import Registry
from flower_engine.runtime.process_names import process_name
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.worker_transitions import WorkerInfo
from flower_worker.signature_publisher import signatures_of


def make_worker_info(settings: Settings, registry: Registry, queues: tuple[str, ...]) -> WorkerInfo:
    """A new worker's description."""
    return WorkerInfo(
        worker=process_name(),
        host=socket.gethostname(),
        pid=os.getpid(),
        started_ms=time.time_ns() // 1_000_000,
        slots=settings.concurrency,
        queues=queues,
        programs=tuple(sorted(program.name for program in registry)),
        tells_version=True,
        signatures=digest_of(signatures_of(registry)),
    )
