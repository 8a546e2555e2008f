"""Conditions on the statuses of flows in SQL, with what follows from them: that names the partial indexes,
which hold the few flows in question."""

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg.sql import SQL, Composable

from flower_engine.model.tasks.status import Status

_IS_ENDING = SQL("(flow.finished_ts IS NULL AND flow.ending_ts IS NOT NULL)")
_OPEN = SQL("flow.finished_ts IS NULL")
_RUNNING = SQL("flow.exec_status = 1")
_FAILED = SQL("flow.suspended_ts IS NOT NULL")
_EITHER = SQL("(flow.finished_ts IS NULL OR flow.suspended_ts IS NOT NULL)")


def status_conditions(
    statuses: Sequence[Status], values: dict[str, Any], *, failed: bool = False, ending: bool = False
) -> Iterator[Composable]:
    """Flows of any of these statuses; ``failed``: or such as have ended in Suspend, with tasks that were
    given up; ``ending``: or such as end but for their cleanup. Nothing of all: all flows. What the conditions
    take is added to ``values``."""
    if not statuses and not failed and not ending:
        return
    if set(statuses) == {Status.RUNNING} and not failed:
        yield _RUNNING
        return
    values["statuses"] = [int(status) for status in statuses]
    is_one = SQL("flow.exec_status = ANY(%(statuses)s::numeric[])")
    ended = SQL("(flow.exec_status = 2 AND flow.finished_ts IS NOT NULL)")
    wanted = [is_one, *([ended] if failed else ()), *([_IS_ENDING] if ending else ())]
    yield SQL("({})").format(SQL(" OR ").join(wanted))
    if any(status.is_final for status in statuses):
        return
    if failed or Status.SUSPEND in statuses:
        yield _FAILED if set(statuses) <= {Status.SUSPEND} and not ending else _EITHER
    else:
        yield _OPEN
