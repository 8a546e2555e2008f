"""What spans need of a flow's plan: how its tasks are called, and what they wait for."""

from collections.abc import Sequence
from weakref import WeakValueDictionary

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.events.wait_events import TaskExpanded
from flower_engine.traces.span import TaskLabel

_NOBODY = TaskLabel("", "", "")


class TracedPlan:
    """The tasks of a plan; ``labels[seq - 1]`` and ``depends_on[seq - 1]`` are those of task ``seq``."""

    __slots__ = ("__weakref__", "depends_on", "labels")

    def __init__(self, labels: Sequence[TaskLabel], depends_on: Sequence[tuple[int, ...]]) -> None:
        self.labels = labels
        self.depends_on = depends_on

    def label(self, task: int) -> TaskLabel:
        """How a task is called; of one that the plan does not have only its number is known."""
        return self.labels[task - 1] if 0 < task <= len(self.labels) else _NOBODY

    def waits_for(self, task: int) -> tuple[int, ...]:
        """The tasks that must be final before this one."""
        return self.depends_on[task - 1] if 0 < task <= len(self.depends_on) else ()

    def with_bodies(self, bodies: dict[int, PlannedTask]) -> "TracedPlan":
        """The plan with tasks that a rerun gave another version's body; edges stay."""
        labels = list(self.labels)
        for task, body in bodies.items():
            if 0 < task <= len(labels):
                labels[task - 1] = _label(body.task_name, body.program, body.queue)
        return TracedPlan(labels, self.depends_on)

    def with_items(self, event: TaskExpanded) -> "TracedPlan":
        """The plan with the items of maps, which are ready when they come, or wait for those of another."""
        if event.first != len(self.labels) + 1:  # the plan is not known
            return self
        labels, depends_on, count = list(self.labels), list(self.depends_on), len(event.values)
        for came in event.maps:
            labels += [_label(came.item.task_name, came.item.program, came.item.queue)] * count
            depends_on += ((came.over + index,) if came.over else () for index in range(count))
        return TracedPlan(labels, depends_on)


NO_PLAN = TracedPlan((), ())


class TracedPlans:
    """Plans, one for all flows of a version of a workflow that are known at a time."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[str, str], TracedPlan] = WeakValueDictionary()

    def of_registered(self, event: FlowRegistered) -> TracedPlan:
        """The plan of a flow that begins."""
        key = (event.workflow, event.definition)
        known = self._known.get(key) if event.definition else None
        if known is not None and len(known.labels) == len(event.tasks):
            return known
        plan = TracedPlan(
            tuple(_label(task.task_name, task.program, task.queue) for task in event.tasks),
            tuple(task.depends_on for task in event.tasks),
        )
        if event.definition:
            self._known[key] = plan
        return plan

    def of_snapshot(self, event: FlowSnapshot) -> TracedPlan:
        """The plan of a flow as it was found, which says who waits for a task and not for whom it waits."""
        behind: list[list[int]] = [[] for _ in event.tasks]
        for seq, task in enumerate(event.tasks, start=1):
            for dependent in task.dependents:
                if 0 < dependent <= len(behind):
                    behind[dependent - 1].append(seq)
        labels = tuple(
            _label(task.message.task_name, task.message.program, task.queue) for task in event.tasks
        )
        return TracedPlan(labels, tuple(map(tuple, behind)))


def _label(task_name: str | None, program: str, queue: str) -> TaskLabel:
    return TaskLabel(task_name or program, program, queue)
