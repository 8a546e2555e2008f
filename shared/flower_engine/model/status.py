"""The statuses of a task; numbers are those of the seed's ``exec_status`` column."""

from enum import IntEnum


class Status(IntEnum):
    """Where a task stands. Each line names the events that lead here."""

    WAIT = 0  # flow.registered; task.returned and task.lapsed: from RUNNING, for a new attempt
    RUNNING = 1  # task.started: from WAIT, by a claim
    SUSPEND = 2  # task.suspended: from RUNNING, failed for good or poison; an operator decides
    FINISH = 3  # task.finished: from RUNNING; final
    IGNORE = 9  # an operator passed over it; final; dependents treat it as satisfied

    @property
    def is_final(self) -> bool:
        """Whether dependents may go on and the flow may end."""
        return self in (Status.FINISH, Status.IGNORE)

    @property
    def word(self) -> str:
        """The seed's word for it: Wait, Running, Suspend, Finish, Ignore."""
        return self.name.capitalize()


def flow_status(*, tasks: int, waiting: int, running: int, suspended: int) -> Status:
    """The status of a whole flow, from how many of its tasks stand where.

    Suspend wins (somebody must look), then Finish (nothing is left), then Wait (nothing began yet).
    """
    if suspended:
        return Status.SUSPEND
    if waiting + running == 0:
        return Status.FINISH
    if waiting == tasks:
        return Status.WAIT
    return Status.RUNNING
