"""The rows of flows that are written anew: they go, less what still holds of them."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, LiteralString

import msgspec

from flower_engine.model.events.attempt_events import TaskProgressed
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding, FlowPaused
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.projection.archive.histories import FAULTS
from flower_engine.projection.database import Connection
from flower_engine.projection.write.flow_changes import FlowChange, TaskChange
from flower_engine.projection.write.found_flows import keep, settle_times
from flower_engine.projection.write.target_tables import aimed

_FLOWS = """
SELECT task_flow_id, (extract(epoch FROM registered_ts) * 1000)::bigint, coalesce(registered_by, ''),
  coalesce(idempotency_key, ''), coalesce(forked_from, ''),
  coalesce((extract(epoch FROM start_ts) * 1000)::bigint, 0), (extract(epoch FROM started_ts) * 1000)::bigint,
  (extract(epoch FROM paused_ts) * 1000)::bigint, paused_by, first_ms,
  convert_to(parameters::text, 'UTF8'), coalesce(definition, ''), coalesce(parent_round, 0),
  (extract(epoch FROM cancelled_ts) * 1000)::bigint, cancelled_by,
  (extract(epoch FROM ending_ts) * 1000)::bigint, ending_cause,
  (extract(epoch FROM ending_until_ts) * 1000)::bigint
FROM kr_flow_stat WHERE task_flow_id = ANY(%s)
"""
_TASKS = """
SELECT task_flow_id, task_exec_seq::int, exec_status::int, attempt, worker,
  (extract(epoch FROM started_ts) * 1000)::bigint, (extract(epoch FROM finished_ts) * 1000)::bigint,
  (extract(epoch FROM suspended_ts) * 1000)::bigint, convert_to(result::text, 'UTF8'),
  convert_to(blob::text, 'UTF8'), ignored_by, ignore_reason,
  convert_to(error::text, 'UTF8'), convert_to(progress::text, 'UTF8'), taken_from
FROM kr_task_stat WHERE task_flow_id = ANY(%s)
"""
_DELETE_FLOWS = "DELETE FROM kr_flow_stat WHERE task_flow_id = ANY(%s)"
_DELETE_TASKS = "DELETE FROM kr_task_stat WHERE task_flow_id = ANY(%s)"
_parameters = msgspec.json.Decoder(dict[str, Any]).decode
_blob = msgspec.json.Decoder(BlobRef).decode
_error = msgspec.json.Decoder(TaskError).decode


class _Progress(msgspec.Struct):
    fraction: float | None = None
    note: str = ""


_progress = msgspec.json.Decoder(_Progress).decode


async def take_over(connection: Connection, flows: Sequence[FlowChange], target: LiteralString) -> None:
    """Removes the rows of these flows, which are about to be written anew, from the tables of the target, and
    keeps what they say of tasks that have not moved since. Call it in a transaction."""
    found = {flow.flow: flow for flow in flows}
    names = list(found)
    known = await _known_flows(connection, names, target)
    await _add_tasks(connection, known, target)
    for name, before in known.items():
        flow, said, told = found[name], before.registered, found[name].registered
        assert said is not None
        assert told is not None
        flow.registered = msgspec.structs.replace(
            told,
            at=said.at,
            by=said.by,
            key=said.key,
            forked_from=said.forked_from,
            start_ms=said.start_ms,
            parameters=said.parameters,
            definition=said.definition,
            parent_round=said.parent_round,
        )
        flow.first_ms = before.first_ms
        keep(flow, before)
        settle_times(flow)
    for statement in (_DELETE_TASKS, _DELETE_FLOWS):
        await connection.execute(aimed(statement, target), [names])


async def _known_flows(
    connection: Connection, names: list[str], target: LiteralString
) -> dict[str, FlowChange]:
    known: dict[str, FlowChange] = {}
    async for row in await connection.execute(aimed(_FLOWS, target), [names]):
        flow, at, by, key, forked_from, start_ms, started_ms, paused_ms, paused_by, first_ms = row[:10]
        parameters, definition, parent_round = row[10:13]
        registered = FlowRegistered(
            at=at,
            flow=flow,
            v=1,
            workflow="",
            order=0,
            tasks=(),
            by=by,
            key=key,
            forked_from=forked_from,
            start_ms=start_ms,
            parameters=_parameters_of(parameters),
            definition=definition,
            parent_round=parent_round,
        )
        known[flow] = FlowChange(
            flow, first_ms, first_ms, registered=registered, started_ms=started_ms, tasks={}
        )
        if paused_ms is not None:
            known[flow].paused = FlowPaused(at=paused_ms, flow=flow, v=1, by=paused_by or "")
        known[flow].cancelled, known[flow].ending = _ends_of(flow, *row[13:])
    return known


def _ends_of(  # noqa: PLR0917 # the columns
    flow: str,
    cancelled_ms: int | None,
    cancelled_by: str | None,
    ending_ms: int | None,
    ending_cause: str | None,
    until_ms: int | None,
) -> tuple[FlowCancelled | None, FlowEnding | None]:
    """What a row says of a cancel, and of a cleanup."""
    cancelled = ending = None
    if cancelled_ms is not None:
        cancelled = FlowCancelled(at=cancelled_ms, flow=flow, v=1, by=cancelled_by or "")
    if ending_ms is not None:
        cause = ending_cause if ending_cause in ("cancel", "again") else "timeout"
        ending = FlowEnding(at=ending_ms, flow=flow, v=1, cause=cause, by="", until_ms=until_ms or 0)
    return cancelled, ending


async def _add_tasks(connection: Connection, known: dict[str, FlowChange], target: LiteralString) -> None:
    async for row in await connection.execute(aimed(_TASKS, target), [list(known)]):
        flow, seq, status, attempt, worker, started_ms, finished_ms, suspended_ms = row[:8]
        result, blob, ignored_by, ignore_reason, error, progress, taken_from = row[8:]
        known[flow].tasks[seq] = TaskChange(
            status=status,
            attempt=attempt,
            worker=worker,
            started_ms=started_ms,
            finished_ms=finished_ms,
            suspended_ms=suspended_ms,
            result=None if result is None else bytes(result),
            blob=None if blob is None else _blob_of(bytes(blob)),
            ignored_by=ignored_by,
            ignore_reason=ignore_reason,
            error=None if error is None else _error_of(bytes(error)),
            progress=None if progress is None else _progress_of(flow, seq, bytes(progress)),
            taken_from=taken_from,
        )


def _parameters_of(raw: bytes | None) -> dict[str, Any]:
    """What a row says of a flow's own parameters; {}: nothing, or nothing that can be read."""
    with suppress(*FAULTS):
        return {} if raw is None else _parameters(bytes(raw))
    return {}


def _error_of(raw: bytes) -> TaskError | None:
    """What a row says of an error; None: nothing that can be read."""
    with suppress(*FAULTS):
        return _error(raw)
    return None


def _blob_of(raw: bytes) -> BlobRef | None:
    """Where a row says that a result lies; None: nothing that can be read."""
    with suppress(*FAULTS):
        return _blob(raw)
    return None


def _progress_of(flow: str, seq: int, raw: bytes) -> TaskProgressed | None:
    said = None
    with suppress(*FAULTS):
        said = _progress(raw)
    if said is None:
        return None
    return TaskProgressed(
        at=0, flow=flow, v=1, task=seq, attempt=0, lease="", fraction=said.fraction, note=said.note
    )
