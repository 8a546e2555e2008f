"""The events of flows that are watched, without results: what is needed to know how their tasks stand."""

from collections.abc import Sequence

from flower_engine.projection.archive.archived_events import UNCOUNTED, ArchivedEvent
from flower_engine.projection.database import Connection

_STEPS = """
SELECT position_ms, position_seq, coalesce(raw, convert_to(
  (CASE WHEN type = 'task.finished' THEN event - 'result' ELSE event END)::text, 'UTF8')), error
FROM kr_event
WHERE task_flow_id = %(flow)s AND (position_ms, position_seq) > (%(ms)s, %(seq)s)
  AND position_ms >= greatest(%(ms)s,
    (SELECT first_ms FROM kr_flow_stat WHERE task_flow_id = %(flow)s))
  AND error IS DISTINCT FROM %(uncounted)s
ORDER BY position_ms, position_seq LIMIT %(most)s
"""
_CHANGED = """
SELECT position_ms, position_seq, task_flow_id FROM kr_event
WHERE partition = %(partition)s AND position_ms >= %(ms)s AND (position_ms, position_seq) > (%(ms)s, %(seq)s)
  AND (position_ms, position_seq) <= (%(until_ms)s, %(until_seq)s)
ORDER BY position_ms, position_seq LIMIT %(most)s
"""


async def read_steps(
    connection: Connection, flow: str, behind: tuple[int, int], most: int
) -> list[ArchivedEvent]:
    """Up to ``most`` events of a flow that is projected behind a position, in order."""
    values = {"flow": flow, "ms": behind[0], "seq": behind[1], "uncounted": UNCOUNTED, "most": most}
    rows = await (await connection.execute(_STEPS, values)).fetchall()
    return [ArchivedEvent(f"{ms}-{seq}", bytes(raw or b""), error) for ms, seq, raw, error in rows]


async def flows_changed(
    connection: Connection, partition: int, behind: tuple[int, int], until: tuple[int, int], most: int
) -> tuple[Sequence[str], tuple[int, int]]:
    """The flows with events between two positions, the last changed last, and up to where that is said: of
    ``most`` events at most."""
    values = {
        **{"partition": partition, "ms": behind[0], "seq": behind[1], "most": most},
        **{"until_ms": until[0], "until_seq": until[1]},
    }
    rows = await (await connection.execute(_CHANGED, values)).fetchall()
    found: dict[str, None] = {}
    for _, _, flow in rows:
        if flow is not None:
            found.pop(flow, None)
            found[flow] = None
    return list(found), until if len(rows) < most else (rows[-1][0], rows[-1][1])
