"""What a page does with the changes of a flow that it is sent: it assigns, and knows nothing of events."""

from typing import Any

from flower_engine.model.values.times import ms_of
from flower_engine.projection.read.end_views import END_WORDS
from flower_engine.projection.read.views import FlowView, TaskView
from flower_engine.projection.read.wait_views import DependenciesOpen, ItemsOpen, RuleOpen

COLUMNS = [
    *("task", "status", "open", "attempt", "lost", "failures"),
    *("startedMs", "finishedMs", "suspendedMs", "retryMs"),
    *("worker", "error", "message", "fraction", "note", "ignoredBy", "ignoreReason", "priority"),
    *("endedAs", "givesUpMs", "awaiting", "untilMs", "answered", "againMs", "round"),
]


class LiveClient:
    """The table of one flow, as frames make it."""

    def __init__(self) -> None:
        self.position: str | None = None
        self.plan: dict[str, Any] = {}
        self.flow: dict[str, Any] = {}
        self.rows: dict[int, list[Any]] = {}

    def take(self, kind: str, data: dict[str, Any], position: str | None = None) -> None:
        """A frame: ``table`` is all there is, ``changes`` replaces the rows that it has."""
        if kind == "table":
            assert data["columns"] == COLUMNS
            self.plan, self.rows = data["plan"], {}
        assert kind in ("table", "changes")
        self.flow = data["flow"]
        self.rows.update({row[0]: row for row in data["rows"]})
        self.position = position

    def tasks(self) -> list[dict[str, Any]]:
        """The rows by name of column, in the order of the tasks."""
        return [dict(zip(COLUMNS, self.rows[seq], strict=True)) for seq in sorted(self.rows)]


def expected_task(task: TaskView) -> dict[str, Any]:
    """What a table has of a task that ``GET /flows/{id}?at=`` shows so; ``open``: whether it waits for
    others."""
    return {
        "task": task.task_exec_seq,
        "status": task.exec_status,
        "open": isinstance(task.wait_reason, DependenciesOpen | ItemsOpen | RuleOpen),
        "attempt": task.attempt,
        "lost": task.lost,
        "failures": task.failures,
        "startedMs": task.started_ts and ms_of(task.started_ts),
        "finishedMs": task.finished_ts and ms_of(task.finished_ts),
        "suspendedMs": task.suspended_ts and ms_of(task.suspended_ts),
        "retryMs": task.retry_ts and ms_of(task.retry_ts),
        "worker": task.worker,
        "error": task.error and task.error.type,
        "message": task.error and task.error.message,
        "fraction": task.progress and task.progress.fraction,
        "note": (task.progress and task.progress.note) or None,
        "ignoredBy": task.ignored_by,
        "ignoreReason": task.ignore_reason,
        "priority": task.task_priority,
        "endedAs": task.ended_as,
        "givesUpMs": task.gives_up_ts and ms_of(task.gives_up_ts),
        "awaiting": task.awaiting and task.awaiting.kind,
        "untilMs": task.awaiting and task.awaiting.until and ms_of(task.awaiting.until),
        "answered": len(task.awaiting.answered_by) if task.awaiting else 0,
        "againMs": task.again_ts and ms_of(task.again_ts),
        "round": task.round or 0,
    }


def assert_shows(client: LiveClient, view: FlowView) -> None:
    """The client's table is what this view of the flow says."""
    found = client.tasks()
    for row in found:
        row["open"] = row["status"] == 0 and row["open"] > 0
    for row, task in zip(found, view.tasks, strict=True):
        told = expected_task(task)
        row["endedAs"] = END_WORDS.get(row["endedAs"])
        if (
            task.rule == "failed" and task.attempt > 0
        ):  # whether it began, tables cannot always tell: rows can
            told["open"] = row["open"]
        assert row == told
    assert client.flow == client.flow | {
        "status": view.exec_status,
        "version": view.version,
        "waiting": view.waiting,
        "running": view.running,
        "suspended": view.suspended,
        "givenUp": sum(task.ended_as == "givenUp" for task in view.tasks),
        "finished": view.finished,
        "ignored": view.ignored,
        "startedMs": view.started_ts and ms_of(view.started_ts),
        "finishedMs": view.finished_ts and ms_of(view.finished_ts),
        "suspendedMs": view.suspended_ts and ms_of(view.suspended_ts),
        "pausedMs": view.paused_ts and ms_of(view.paused_ts),
        "pausedBy": view.paused_by,
        "cancelledMs": view.cancelled_ts and ms_of(view.cancelled_ts),
        "cancelledBy": view.cancelled_by,
    }
    plan = client.plan
    assert (plan["taskFlowId"], plan["taskId"]) == (view.task_flow_id, view.task_id)
    assert plan["names"] == [task.task_name for task in view.tasks]
    assert plan["programs"] == [task.program for task in view.tasks]
    assert plan["queues"] == [task.queue for task in view.tasks]
    assert plan["rules"] == [task.rule for task in view.tasks]
    assert plan["onFailure"] == [task.on_failure for task in view.tasks]
    assert plan["dependsOn"] == [task.depends_on for task in view.tasks]
    assert plan["registeredMs"] == ms_of(view.registered_ts)
