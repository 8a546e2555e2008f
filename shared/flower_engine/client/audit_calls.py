"""What can be asked of the API about what people did, as a call without I/O (see ``api_calls.py``)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from flower_engine.client.api_calls import Patience, Request, Steps, decoded, sent


class Act(msgspec.Struct, rename="camel", kw_only=True):
    """Somebody did something: ``act`` says what (``flow.cancelled``, ``schedule.paused``), to a flow (and one
    or so many of its tasks), or to what has this ``name``. ``by``: a token's name, or ``sql:`` and who used
    SQL. ``details`` of a change: what is otherwise, each with the value before and now."""

    at: datetime
    by: str
    act: str
    task_flow_id: str | None = None
    task_id: str | None = None
    task: int | None = None
    tasks: int | None = None
    name: str | None = None
    reason: str = ""
    details: Any = None


class _Page(msgspec.Struct):
    acts: list[Act]
    next: str | None = None


def audit_page(query: Mapping[str, Any], patience: Patience) -> Steps[tuple[list[Act], str | None]]:
    """A page of what people did, and the cursor of the next."""
    page = decoded((yield from sent(Request("GET", "/audit", query), patience)), _Page)
    return page.acts, page.next
