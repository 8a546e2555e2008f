"""Which flows use a blob, beside what the events say: without its use a prune would take a blob away."""

from collections.abc import Collection, Mapping, Sequence

from flower_engine.projection.blobs.uses import Use
from flower_engine.projection.database import Connection

# A flow is among those that were chosen if its row says so; without a row, if all are.
_DIFFERENT = """
WITH told AS (SELECT * FROM unnest(%(sha256s)s::text[], %(flows)s::text[]) AS told (sha256, task_flow_id)),
held AS (
    SELECT used.sha256, used.task_flow_id FROM kr_blob_use AS used
    LEFT JOIN kr_flow_stat AS flow ON flow.task_flow_id = used.task_flow_id
    WHERE used.task_flow_id <> ALL(%(left_out)s::text[])
    AND (flow.task_flow_id IS NOT NULL OR %(is_whole)s)
    AND (%(workflow)s::text IS NULL OR flow.task_id = %(workflow)s)
    AND (%(since_ms)s::bigint IS NULL OR flow.registered_ts >= to_timestamp(%(since_ms)s / 1000.0))
    AND (%(until_ms)s::bigint IS NULL OR flow.registered_ts < to_timestamp(%(until_ms)s / 1000.0)))
SELECT task_flow_id, held.sha256, told.sha256 FROM held FULL JOIN told USING (sha256, task_flow_id)
WHERE held.sha256 IS NULL OR told.sha256 IS NULL ORDER BY 1, 2, 3
"""
_FORGET = """
DELETE FROM kr_blob_use AS used USING unnest(%s::text[], %s::text[]) AS gone (sha256, task_flow_id)
WHERE gone.sha256 = used.sha256 AND gone.task_flow_id = used.task_flow_id
"""


async def different_uses(
    connection: Connection,
    told: Collection[Use],
    left_out: Collection[str],
    chosen: Mapping[str, object],
    *,
    is_whole: bool,
) -> Sequence[tuple[str, str | None, str | None]]:
    """Each flow with a blob that only the table, or only the events say it uses: (flow, the table's, theirs).

    ``left_out``: flows of which nothing is known. ``chosen``: the values of a selection.
    """
    known = sorted(use for use in told if use[1] not in left_out)
    values = {
        **chosen,
        "is_whole": is_whole,
        "sha256s": [sha256 for sha256, _ in known],
        "flows": [flow for _, flow in known],
        "left_out": sorted(left_out),
    }
    rows = await (await connection.execute(_DIFFERENT, values)).fetchall()
    return [(flow, held, of_events) for flow, held, of_events in rows]


async def forget_untold(
    connection: Connection, different: Sequence[tuple[str, str | None, str | None]]
) -> None:
    """Removes what of these only the table says."""
    gone = [(held, flow) for flow, held, of_events in different if held is not None and of_events is None]
    if gone:
        await connection.execute(_FORGET, [[sha256 for sha256, _ in gone], [flow for _, flow in gone]])
