"""The tasks of a run as a test looks at them, and why a flow does not go on, in words."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

import msgspec

from flower_engine.flows.end_words import why_not_needed, why_not_taken
from flower_engine.flows.wait_words import in_words
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.projection.read.attempt_views import AttemptView
from flower_engine.projection.read.end_views import EndWord
from flower_engine.projection.read.views import FlowView, TaskDetail, TaskView
from flower_engine.projection.read.wait_views import NoWorker
from flower_engine.testing.faults import FlowerTestError

StatusWord = Literal["Wait", "Running", "Suspend", "Finish", "Ignore"]
_MOST_TASKS = 30  # that a message tells of
_MOST_LINES = 3  # of a traceback


class RunTask(msgspec.Struct, frozen=True):
    """One task of a run, as it stands. ``attempts``: how many there were; ``history`` has each of them.
    ``result`` is plain JSON; ``error`` that of the last attempt that failed, None after one that finished.
    ``ended_as``: how it has ended, where it is not Finish (None: it has not); ``why``: why it waits, was not
    taken, is not needed, or was passed over ("": nothing of that)."""

    name: str
    status: StatusWord
    attempts: int
    result: Any
    error: TaskError | None
    parameters: dict[str, Any]
    history: tuple[AttemptView, ...]
    ended_as: EndWord | None = None
    why: str = ""


class RunTasks(Mapping[str, RunTask]):
    """The tasks by name; one without a name by its taskSeq as text, and an item of a map by the name of that
    and its key, or else its index: ``totals[a.csv]``, ``totals[0]``."""

    def __init__(self, details: Sequence[TaskDetail]) -> None:
        names = names_of(details)
        self._tasks = {name: _run_task(name, task) for name, task in zip(names, details, strict=True)}

    def __getitem__(self, name: str) -> RunTask:
        if name not in self._tasks:
            raise FlowerTestError(
                f"the flow has no task {name!r}{nearest_in_words(name, self._tasks)}; it has"
                f" {', '.join(self._tasks)}"
            )
        return self._tasks[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


def names_of(tasks: Sequence[TaskView]) -> list[str]:
    """What each task of a flow is called; ``tasks``: all of them, in order."""
    own = [task.task_name or str(task.task_seq) for task in tasks]
    return [
        name
        if task.item_of is None
        else f"{own[task.item_of - 1]}[{task.item_index if task.item_key is None else task.item_key}]"
        for name, task in zip(own, tasks, strict=True)
    ]


def why_stuck(view: FlowView, skipped: timedelta, what: str) -> str:
    """A message that says of each task that has not ended, or was given up, why."""
    lines = [
        f"flow {view.task_flow_id} of workflow {view.task_id!r} {what} (time skipped: {_words(skipped)}):"
    ]
    names = dict(enumerate(names_of(view.tasks), start=1))
    open_tasks = [task for task in view.tasks if not task.has_ended]
    given_up = [task for task in view.tasks if task.has_ended and task.status == "Suspend"]
    for task in (*open_tasks, *given_up)[:_MOST_TASKS]:
        lines.append(f"  {names[task.task_exec_seq]}: {_why(task, names)}")
        lines += [f"      {line}" for line in _traceback(task)]
    if (more := len(open_tasks) + len(given_up) - _MOST_TASKS) > 0:
        lines.append(f"  ... and {more} more tasks")
    if len(open_tasks) < len(view.tasks):
        lines.append(f"  ({len(view.tasks) - len(open_tasks)} of {len(view.tasks)} tasks have ended)")
    return "\n".join(lines)


def _why(task: TaskView, names: Mapping[int, str]) -> str:
    if task.status == "Running":
        return f"runs attempt {task.attempt}, which hangs: it has no timeout, and its worker is not lost"
    if task.status == "Suspend":
        error = f"{task.error.type}: {task.error.message}" if task.error else "without an error"
        how = "given up after" if task.has_ended else "suspended in"
        return f"{how} attempt {task.attempt}: {error}"
    reason = task.wait_reason
    if reason is None:
        return "waits"
    if isinstance(reason, NoWorker):
        return (
            f"no program {task.program!r} is here: import the module that has it, or stub it:"
            f" flower.stub({task.program!r}, ...)"
        )
    depends_on: list[int] = getattr(reason, "depends_on", [])
    if depends_on:
        return f"waits for {', '.join(names[seq] for seq in depends_on)}"
    return in_words(reason)


def _traceback(task: TaskView) -> list[str]:
    if task.status != "Suspend" or task.error is None or not task.error.traceback:
        return []
    return [line.strip() for line in task.error.traceback.rstrip().splitlines()[-_MOST_LINES:]]


def _run_task(name: str, task: TaskDetail) -> RunTask:
    return RunTask(
        name=name,
        status=task.status,
        attempts=task.attempt,
        result=msgspec.json.decode(task.result),
        error=task.error,
        parameters=msgspec.json.decode(task.parameters),
        history=tuple(task.attempts),
        ended_as=task.ended_as,
        why=_said_of(task),
    )


def _said_of(task: TaskView) -> str:
    if task.not_taken is not None:
        return why_not_taken(task.not_taken)
    if task.ended_as == "unneeded":
        return why_not_needed(task.not_needed_by or ())
    if task.wait_reason is not None:
        return in_words(task.wait_reason)
    return task.ignore_reason or ""


def _words(time: timedelta) -> str:
    return str(time) if time else "none"
