"""What a projector tells of itself and of what it wrote."""

from flower_engine.runtime.metrics.service_metrics import Told
from flower_projector.event_counts import EventCounts


def told_of(counts: EventCounts) -> Told:
    """The metrics that follow from the events."""
    return {
        "flower_tasks_total": {(what,): count for what, count in list(counts.tasks.items())},
        "flower_flows_total": {(what,): count for what, count in list(counts.flows.items())},
        "flower_schedule_slots_total": {(fate,): count for fate, count in list(counts.slots.items())},
        "flower_schedule_lateness_seconds": {(): counts.lateness},
        "flower_task_run_seconds": {(): counts.times.runs},
        "flower_task_wait_seconds": {(reason,): tally for reason, tally in counts.times.waits.items()},
        "flower_projector_events_total": {(): counts.events},
        "flower_projector_batch_seconds": {(): counts.batches},
        "flower_projector_partitions": {(): len(counts.active)},
    }
