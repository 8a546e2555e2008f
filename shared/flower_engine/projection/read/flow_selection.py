"""The flows that a filter matches, page by page and counted: what operations on many flows work off.

Pages go from the oldest flow to the newest, so flows registered meanwhile come last, and a page is read
again rightly though the operations have changed the flows of the page before.
"""

from datetime import datetime
from typing import Any

import msgspec
from psycopg.sql import SQL, Composable

from flower_engine.model.tasks.status import Status
from flower_engine.projection.database import Connection
from flower_engine.projection.read.failed_tasks import MATCHES_TEXT
from flower_engine.projection.read.status_conditions import status_conditions

_PAGE = SQL("""
SELECT flow.registered_ts, flow.task_flow_id, flow.task_id FROM kr_flow_stat AS flow WHERE {conditions}
ORDER BY flow.registered_ts, flow.task_flow_id LIMIT %(limit)s
""")
_COUNT = SQL(
    "SELECT count(*) FROM (SELECT 1 FROM kr_flow_stat AS flow WHERE {conditions} LIMIT %(limit)s) AS f"
)
_FAILED_WITH_TEXT = SQL("""EXISTS (
    SELECT 1 FROM kr_task_stat WHERE task_flow_id = flow.task_flow_id AND suspended_ts IS NOT NULL AND {}
)""").format(MATCHES_TEXT)


class FlowSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Which flows are meant; None and () mean all. ``failed``: (also) those that have ended with tasks that
    were given up, ``ending``: those that end but for their cleanup. ``text`` is looked for in errors of
    suspended tasks. ``trunk``: those of the tree below this flow; ``flows``: no others than these."""

    flows: tuple[str, ...] | None = None
    trunk: str | None = None
    workflow: str | None = None
    statuses: tuple[Status, ...] = ()
    failed: bool = False
    ending: bool = False
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


class FlowAt(msgspec.Struct, frozen=True):
    """A flow, when it was registered, and its workflow: where the next page goes on."""

    registered_ts: datetime
    flow: str
    workflow: str


async def select_flows(
    connection: Connection, selection: FlowSelection, *, behind: FlowAt | None, limit: int
) -> list[FlowAt]:
    """Up to ``limit`` flows that match, oldest first, behind the place given."""
    conditions, values = conditions_of(selection)
    if behind is not None:
        conditions.append(SQL("(flow.registered_ts, flow.task_flow_id) > (%(ts)s, %(id)s)"))
        values |= {"ts": behind.registered_ts, "id": behind.flow}
    statement = _PAGE.format(conditions=SQL(" AND ").join(conditions))
    rows = await (await connection.execute(statement, {**values, "limit": limit})).fetchall()
    return [FlowAt(*row) for row in rows]


async def count_flows(connection: Connection, selection: FlowSelection, *, most: int) -> int:
    """How many flows match, at most ``most``."""
    conditions, values = conditions_of(selection)
    statement = _COUNT.format(conditions=SQL(" AND ").join(conditions))
    row = await (await connection.execute(statement, {**values, "limit": most})).fetchone()
    return row[0] if row else 0


def conditions_of(selection: FlowSelection) -> tuple[list[Composable], dict[str, Any]]:
    """What rows of ``kr_flow_stat AS flow`` have to fulfil, and the values in it."""
    conditions: list[Composable] = [SQL("true")]
    values: dict[str, Any] = {}
    if selection.flows is not None:
        conditions.append(SQL("flow.task_flow_id = ANY(%(flows)s)"))
        values["flows"] = list(selection.flows)
    if selection.trunk is not None:
        conditions.append(SQL("flow.trunk_flow_id = %(trunk)s"))
        values["trunk"] = selection.trunk
    if selection.workflow is not None:
        conditions.append(SQL("flow.task_id = %(workflow)s"))
        values["workflow"] = selection.workflow
    conditions += status_conditions(
        selection.statuses, values, failed=selection.failed, ending=selection.ending
    )
    if selection.text is not None:
        conditions += [SQL("flow.suspended_ts IS NOT NULL"), _FAILED_WITH_TEXT]
        values["text"] = selection.text
    if selection.since is not None:
        conditions.append(SQL("flow.registered_ts >= %(since)s"))
        values["since"] = selection.since
    if selection.until is not None:
        conditions.append(SQL("flow.registered_ts < %(until)s"))
        values["until"] = selection.until
    return conditions, values
