"""The archive (``kr_event``): its rows as COPY wants them, and a flow's history read back."""

import struct
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from flower_engine.model.events.event_meaning import MEANINGS
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.values.ids import created_ms, is_flow_id
from flower_engine.projection import binary_fields
from flower_engine.projection.binary_fields import NULL
from flower_engine.projection.database import Connection

COPY_EVENTS = (
    "COPY kr_event (partition, position_ms, position_seq, task_flow_id, type, event, raw, error)"
    " FROM STDIN (FORMAT BINARY)"
)
_row_head = struct.Struct(">hiiiqiq").pack  # columns; partition, position_ms, position_seq as fields
_TYPE_FIELDS = {kind: binary_fields.text(str(kind.__struct_config__.tag)) for kind in get_args(AnyEvent)}
_OF_NO_FLOW = frozenset(kind for kind, meaning in MEANINGS.items() if meaning.about in ("log", "schedule"))
_CLOCK_SLACK_MS = 86_400_000  # the clock of whoever made a flow's id may differ from Redis' by so much

_HISTORY = """
SELECT position_ms, position_seq, coalesce(raw, convert_to(event::text, 'UTF8')), error FROM kr_event
WHERE task_flow_id = %(flow)s
  AND position_ms >= coalesce((SELECT first_ms FROM kr_flow_stat WHERE task_flow_id = %(flow)s), %(guess_ms)s)
  AND position_ms <= coalesce((SELECT last_ms FROM kr_flow_stat WHERE task_flow_id = %(flow)s), %(end_ms)s)
  AND error IS DISTINCT FROM %(uncounted)s
  AND (%(tasks)s::int[] IS NULL OR type LIKE 'flow.%%' OR type LIKE 'tasks.%%' OR event IS NULL
    OR event -> 'task' = ANY(SELECT to_jsonb(task) FROM unnest(%(tasks)s::int[]) AS task))
ORDER BY position_ms, position_seq
"""
_HISTORIES = """
SELECT asked.flow, told.* FROM unnest(%(flows)s::text[], %(guesses)s::bigint[]) AS asked(flow, guess_ms)
LEFT JOIN kr_flow_stat AS stat ON stat.task_flow_id = asked.flow
CROSS JOIN LATERAL (
  SELECT position_ms, position_seq, coalesce(raw, convert_to(event::text, 'UTF8')), error FROM kr_event
  WHERE task_flow_id = asked.flow
    AND position_ms >= coalesce(stat.first_ms, asked.guess_ms) AND position_ms <= %(ms)s
    AND (position_ms, position_seq) <= (%(ms)s, %(seq)s)
    AND error IS DISTINCT FROM %(uncounted)s
  ORDER BY position_ms, position_seq
) AS told
"""


UNCOUNTED = "behind a gap: what came before it is lost"
"""Why an event is archived as bytes and counts for nothing: its flow's state before it is unknown."""


class ArchivedEvent(msgspec.Struct, frozen=True):
    """An event of the archive; where Postgres refused it, ``raw`` may be anything and ``error`` says why.
    ``raw`` is empty where somebody removed the event from its row."""

    position: str
    raw: bytes
    error: str | None = None


async def history(
    connection: Connection, flow_id: str, tasks: Sequence[int] | None = None
) -> list[ArchivedEvent]:
    """The flow's archived events in log order, or only those of these tasks, of many tasks and of the flow as
    a whole; [] where there are none. Those that follow from nothing that is known are left out; those that
    Postgres refused are among them whatever their task.

    To go on with the log, read the partition's position first: what lies behind it may be in both.
    """
    values = {
        "flow": flow_id,
        "guess_ms": _guess_ms(flow_id),
        "end_ms": 2**63 - 1,
        "uncounted": UNCOUNTED,
        "tasks": None if tasks is None else list(tasks),
    }
    rows = await connection.execute(_HISTORY, values)
    return [ArchivedEvent(f"{ms}-{seq}", bytes(raw or b""), error) async for ms, seq, raw, error in rows]


async def histories(
    connection: Connection, flows: Sequence[str], until: tuple[int, int]
) -> dict[str, list[ArchivedEvent]]:
    """The same of many flows of one partition, up to a position; a flow without any is not among them."""
    values = {
        "flows": list(flows),
        "guesses": [_guess_ms(flow) for flow in flows],
        "ms": until[0],
        "seq": until[1],
        "uncounted": UNCOUNTED,
    }
    found: dict[str, list[ArchivedEvent]] = {}
    rows = await connection.execute(_HISTORIES, values)
    async for flow, ms, seq, raw, error in rows:
        found.setdefault(flow, []).append(ArchivedEvent(f"{ms}-{seq}", bytes(raw or b""), error))
    return found


def _guess_ms(flow: str) -> int:
    return created_ms(flow) - _CLOCK_SLACK_MS if is_flow_id(flow) else 0


class ArchiveRows:
    """The rows of one partition's events for ``COPY_EVENTS``."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._rows = [binary_fields.COPY_HEAD]
        self._flow_fields: dict[str, bytes] = {}

    def add(self, ms: int, seq: int, raw: bytes, event: AnyEvent) -> None:
        """An event as it is, at the position ``<ms>-<seq>``."""
        if type(event) in _OF_NO_FLOW:
            flow_field = NULL
        else:
            of_flow: Any = event
            flow = of_flow.flow
            found = self._flow_fields.get(flow)
            flow_field = found or self._flow_fields.setdefault(flow, binary_fields.text(flow))
        self._rows += (
            _row_head(8, 4, self._partition, 8, ms, 8, seq),
            flow_field,
            _TYPE_FIELDS[type(event)],
            binary_fields.jsonb(raw),
            NULL + NULL,
        )

    def add_refused(
        self, ms: int, seq: int, raw: bytes, why: str, *, flow: str | None, kind: str | None
    ) -> None:
        """The bytes of an event that cannot be read or that Postgres refuses, and the reason."""
        self._rows += (
            _row_head(8, 4, self._partition, 8, ms, 8, seq),
            binary_fields.text(flow) if flow else NULL,
            binary_fields.text(kind) if kind else NULL,
            NULL,
            binary_fields.json(raw),
            binary_fields.text(why),
        )

    def data(self) -> bytes:
        """What ``COPY_EVENTS`` wants."""
        return b"".join([*self._rows, binary_fields.COPY_TAIL])
