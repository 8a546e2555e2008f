"""Which tables a statement of the projection means: the live ones, or those that a replay builds."""

from functools import cache
from typing import LiteralString

LIVE: LiteralString = ""
BUILT: LiteralString = "pg_temp."
"""Named: where the temporary tables are not there, a statement fails instead of meaning the live ones."""


@cache
def aimed(statement: LiteralString, target: LiteralString) -> LiteralString:
    """The statement, with ``kr_flow_stat`` and ``kr_task_stat`` of this target."""
    for table in ("kr_flow_stat", "kr_task_stat"):
        statement = statement.replace(table, target + table)
    return statement
