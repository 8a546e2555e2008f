"""What lists and operations are asked with, as the API takes it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from flower_engine.client.flow_values import StatusWord

Tasks = Sequence[int | str]
"""Tasks of a flow by number (``task_exec_seq``) or name."""

TaskParameters = Mapping[int | str, Mapping[str, Any]]
"""Parameters of single tasks, by number or name."""

Scope = Literal["only", "dependents", "changed"]
Selection = Tasks | Literal["failed", "all"]
_PAGE = 1_000


class FlowTimes(NamedTuple):
    """From when on, and before when, flows were registered."""

    since: datetime | str | None = None
    until: datetime | str | None = None


def flows_query(
    workflow: str | None,
    status: StatusWord | Sequence[StatusWord] | None,
    times: FlowTimes,
    limit: int | None,
    schedule: str | None = None,
) -> dict[str, Any]:
    """The query of ``GET /flows``."""
    words = [status] if isinstance(status, str) else list(status or ())
    return {
        "taskId": workflow,
        "schedule": schedule,
        # The tables say Ignore of flows that were cancelled.
        "status": ["Ignore" if word == "Cancelled" else word for word in words] or None,
        "since": time_text(times.since),
        "until": time_text(times.until),
        "limit": _PAGE if limit is None else max(1, min(limit, _PAGE)),
    }


def rerun_body(
    tasks: Selection,
    scope: Scope | None,
    parameters: Mapping[str, Any] | None,
    task_parameters: TaskParameters | None,
    unset: Sequence[str],
) -> dict[str, Any]:
    """The body of a rerun."""
    selected = {"selection": tasks} if isinstance(tasks, str) else {"tasks": list(tasks)}
    by_task = {str(task): values for task, values in (task_parameters or {}).items()}
    given = {"scope": scope, "parameters": parameters, "taskParameters": by_task, "unset": list(unset)}
    return selected | {name: value for name, value in given.items() if value}


def fork_body(
    from_tasks: Tasks,
    parameters: Mapping[str, Any] | None,
    task_parameters: TaskParameters | None,
    unset: Sequence[str],
) -> dict[str, Any]:
    """The body of a fork, as far as it is that of a rerun, too."""
    body = rerun_body(from_tasks, None, parameters, task_parameters, unset)
    return body | {"fromTasks": body.pop("tasks") or None}


def time_text(time: datetime | str | None) -> str | None:
    """As the API takes a time; UTC where it has no offset."""
    if isinstance(time, datetime):
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
    return time


def dry_run_body(is_dry: bool) -> dict[str, Any]:
    """What is said of an operation that is only to say what it would do."""
    return {"dryRun": True} if is_dry else {}
