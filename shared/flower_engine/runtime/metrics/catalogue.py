"""Every metric of Flower: its name, kind, labels, which service tells it, and what it means.

``docs/monitoring.md``, ``ops/alerts.yaml`` and ``ops/grafana.json`` name these and no others, which a test
compares. No label holds an id of a flow, and labels that people choose (queues, limits) are bounded.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

MOST_LABELS = 100
"""So many queues, limits and workflows have lines of their own; what is beyond is told as ``OTHER``."""
OTHER = "other"


class Metric(NamedTuple):
    """``services``: those whose ``/metrics`` has it."""

    kind: Literal["counter", "gauge", "histogram"]
    services: tuple[str, ...]
    labels: tuple[str, ...]
    means: str


_ALL = ("api", "worker", "projector", "watcher")
_API, _PROJECTOR, _WORKER = ("api",), ("projector",), ("worker",)

METRICS: Mapping[str, Metric] = {
    "flower_build_info": Metric(
        "gauge", _ALL, ("service", "version"), "1: the service runs, in this version"
    ),
    "flower_transition_seconds": Metric(
        "histogram", _ALL, ("script",), "How long a transition took, as the service that called it saw it"
    ),
    # From the events, as the projector writes them
    "flower_tasks_total": Metric("counter", _PROJECTOR, ("event",), "What became of tasks and attempts"),
    "flower_flows_total": Metric("counter", _PROJECTOR, ("event",), "What became of flows"),
    "flower_task_run_seconds": Metric(
        "histogram", _PROJECTOR, (), "From the start of an attempt to its result or failure"
    ),
    "flower_task_wait_seconds": Metric(
        "histogram", _PROJECTOR, ("reason",), "What a task that has started had waited for, and how long"
    ),
    "flower_schedule_lateness_seconds": Metric(
        "histogram", _PROJECTOR, (), "How long after its slot a schedule's flow was registered"
    ),
    "flower_schedule_slots_total": Metric("counter", _PROJECTOR, ("fate",), "Slots of schedules, by fate"),
    "flower_projector_events_total": Metric("counter", _PROJECTOR, (), "Events written to Postgres"),
    "flower_projector_batch_seconds": Metric(
        "histogram", _PROJECTOR, (), "How long writing a batch of events to Postgres took"
    ),
    "flower_projector_partitions": Metric(
        "gauge", _PROJECTOR, (), "Partitions that this projector is the elected one of"
    ),
    # From the worker
    "flower_worker_slots": Metric("gauge", _WORKER, ("state",), "Task slots: busy, free, or stuck"),
    "flower_worker_process_slots": Metric("gauge", _WORKER, ("state",), "The same for programs in processes"),
    "flower_worker_heartbeat_age_seconds": Metric(
        "gauge", _WORKER, (), "Since the worker's last heartbeat that Redis answered"
    ),
    "flower_outcomes_refused_total": Metric(
        "counter", _WORKER, ("why",), "Outcomes that came too late to count, by Redis' answer"
    ),
    # From the stores, when somebody asks the API
    "flower_store_up": Metric("gauge", _API, ("store",), "1: the store answered; 0: it did not"),
    "flower_ready_tasks": Metric("gauge", _API, ("queue",), "Tasks that could start now, and have not"),
    "flower_oldest_ready_seconds": Metric(
        "gauge", _API, ("queue",), "How long the next tasks of the queue have been ready, the longest of them"
    ),
    "flower_running_tasks": Metric("gauge", _API, ("queue",), "Tasks that workers hold"),
    "flower_queue_workers": Metric("gauge", _API, ("queue",), "Live workers that serve the queue"),
    "flower_workers": Metric("gauge", _API, (), "Live workers"),
    "flower_suspended_tasks": Metric("gauge", _API, (), "Tasks that failed for good and wait for somebody"),
    "flower_open_flows": Metric("gauge", _API, (), "Flows that have not ended"),
    "flower_limit_used_ratio": Metric(
        "gauge", _API, ("scope", "name"), "Units that run under a limit, as a share of it"
    ),
    "flower_paused_scopes": Metric("gauge", _API, (), "Queues, workflows and programs that are paused"),
    "flower_projection_lag_events": Metric("gauge", _API, (), "Events that are not in Postgres yet"),
    "flower_projection_lag_seconds": Metric("gauge", _API, (), "Age of the oldest event not in Postgres"),
    "flower_log_bytes": Metric("gauge", _API, (), "What the logs take of Redis' memory"),
    "flower_log_events": Metric("gauge", _API, (), "Entries that the logs hold"),
    "flower_task_log_bytes": Metric("gauge", _API, (), "What task logs that are not stored take of Redis"),
    "flower_follower_lag_seconds": Metric(
        "gauge", _API, ("follower",), "How far hooks or traces are behind what is in Postgres"
    ),
    "flower_watcher_tick_age_seconds": Metric(
        "gauge", _API, (), "Since a watcher looked last at a partition, the longest"
    ),
    "flower_schedules_overdue_seconds": Metric(
        "gauge", _API, (), "How long a watcher should have looked at a schedule already, the longest"
    ),
    "flower_redis_memory_bytes": Metric("gauge", _API, (), "Memory that Redis uses"),
    "flower_redis_memory_limit_bytes": Metric("gauge", _API, (), "Redis' maxmemory; 0: none"),
    "flower_replica_lag_seconds": Metric("gauge", _API, (), "How far Postgres' replica is behind"),
    "flower_replica_reads_total": Metric(
        "counter", _API, ("server",), "Reads that the replica might answer: it did, or the primary"
    ),
    "flower_postgres_bytes": Metric("gauge", _API, (), "Size of the database"),
    "flower_http_requests_total": Metric("counter", _API, ("method", "status"), "Requests answered"),
    "flower_http_request_seconds": Metric(
        "histogram",
        _API,
        ("route",),
        "From a request to the beginning of its answer",
    ),
}
