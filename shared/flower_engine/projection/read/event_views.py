"""One event of a flow's history, as the API tells it."""

import msgspec

from flower_engine.projection.read.view_fields import View

_DEEP = 100  # what has no more brackets than this is not nested deeper either


class EventView(View):
    """One event of a flow's history; ``error`` says why it cannot be shown, and then it is null: Postgres
    refused it, or it is nothing that can be read."""

    position: str
    archived: bool
    event: msgspec.Raw
    error: str | None

    @classmethod
    def of(cls, position: str, raw: bytes | None, error: str | None, *, archived: bool) -> "EventView":
        """``raw``: the event's JSON; None: there is none."""
        if raw is not None and raw.count(b"[") + raw.count(b"{") > _DEEP and _is_too_deep(raw):
            raw, error = None, "it is nested deeper than a parser goes"
        return cls(position, archived, msgspec.Raw(b"null" if raw is None else raw), error)


def _is_too_deep(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except RecursionError:
        return True
    return False
