"""A task starts once in a generation: what began begins again only after an event that says why."""

from flower_engine.model.events.attempt_events import (
    FlowAgain,
    TaskAgain,
    TaskLapsed,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
)
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.operator_events import FlowRerun, TaskUnignored
from flower_engine.model.events.wait_events import TaskAwaiting, TaskExpanded


class Starts:
    """Follows the log, and refuses a second start of what reads a list, or anything else, in one generation.

    An attempt that came to nothing (returned, lapsed, to be retried) is taken back, as is one that asked for
    another round, of itself or of its flow; a map awaits twice, for its items and for its list; and whatever
    is opened again has another generation.
    """

    def __init__(self) -> None:
        self._begun: set[tuple[str, int]] = set()

    def append(self, event: AnyEvent) -> None:
        """Takes the next event of the log."""
        match event:
            case TaskStarted() | TaskAwaiting():
                key = (event.flow, event.task)
                assert key not in self._begun, f"{event} begins again what has begun in this generation"
                self._begun.add(key)
            case TaskReturned() | TaskLapsed() | TaskRetrying() | TaskExpanded() | TaskAgain() | FlowAgain():
                self._begun.discard((event.flow, event.task))
            case TaskUnignored():
                self._open(event.flow, event.task, *event.behind)
            case FlowRerun():
                self._open(event.flow, *event)
            case _:
                pass

    def _open(self, flow: str, *tasks: int) -> None:
        self._begun.difference_update((flow, task) for task in tasks)
