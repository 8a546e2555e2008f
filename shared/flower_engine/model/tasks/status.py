"""The statuses of a task; numbers are those of the seed's ``exec_status`` column."""

from enum import IntEnum


class Status(IntEnum):
    """Where a task stands. Each line names the events that lead here."""

    # fmt: off
    WAIT = 0  # flow.registered flow.rerun task.returned task.lapsed task.retrying task.again flow.again task.unignored task.awaiting task.expanded task.lifted flow.ending  # noqa: E501 # all on the line
    # fmt: on
    RUNNING = 1  # task.started: from WAIT, by a claim
    SUSPEND = (
        2  # task.suspended task.overdue flow.timed_out: held, failed for good; task.given_up flow.ending
    )
    FINISH = 3  # task.finished: from RUNNING; task.answered: from WAIT; flow.registered, of a fork; final
    # fmt: off
    IGNORE = 9  # task.ignored tasks.ignored tasks.passed tasks.unneeded flow.cancelled flow.ending flow.registered (fork) flow.rerun  # noqa: E501 # all on the line
    # fmt: on

    @property
    def is_final(self) -> bool:
        """Whether this alone says that the task has ended (``end_kinds.py`` says how; given up has, too)."""
        return self in (Status.FINISH, Status.IGNORE)

    @property
    def word(self) -> str:
        """The seed's word for it: Wait, Running, Suspend, Finish, Ignore."""
        return self.name.capitalize()


def flow_status(*, tasks: int, waiting: int, running: int, suspended: int, cancelled: bool) -> Status:
    """The status of a whole flow, from how many of its tasks stand where.

    Suspend wins (somebody must look), then the end (Finish, or Ignore when it was cancelled), then Wait
    (nothing began yet).
    """
    if suspended:
        return Status.SUSPEND
    if waiting + running == 0:
        return Status.IGNORE if cancelled else Status.FINISH
    if waiting == tasks:
        return Status.WAIT
    return Status.RUNNING
