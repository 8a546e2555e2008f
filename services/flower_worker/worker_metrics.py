"""What a worker tells of itself."""

from collections.abc import Mapping

from flower_engine.runtime.metrics.service_metrics import Told
from flower_worker.worker import Worker

_WHY = ("absent", "duplicate", "stale")


def told_of(worker: Worker | None, refused: Mapping[str, int]) -> Told:
    """Its slots now, None before there are any, and the outcomes that were refused so far, by why."""
    counted: Told = {
        "flower_outcomes_refused_total": {(why,): refused.get(why, 0) for why in (*_WHY, *refused)}
    }
    if worker is None:
        return counted
    now = worker.slots_now()
    return {
        **counted,
        "flower_worker_slots": {
            ("busy",): now.busy,
            ("free",): max(0, now.slots - now.busy - now.stuck),
            ("stuck",): now.stuck,
        },
        "flower_worker_process_slots": {
            ("busy",): now.busy_processes,
            ("free",): max(0, now.processes - now.busy_processes),
        },
        "flower_worker_heartbeat_age_seconds": {(): worker.heartbeat_seconds_ago()},
    }
