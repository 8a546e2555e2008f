"""The rows of ``kr_flow_stat``: new ones for COPY, and what changes of those that are there."""

from collections.abc import Collection, Iterable
from typing import LiteralString

from flower_engine.model.tasks.status import flow_status
from flower_engine.projection import binary_fields
from flower_engine.projection.binary_fields import array
from flower_engine.projection.database import Packed
from flower_engine.projection.write.columns import (
    BIGINT,
    ID,
    INTEGER,
    NUMERIC,
    PARAMETERS,
    TEXT,
    TIME,
    WORD,
    Column,
    Kind,
    arrays_function,
    copied_names,
    copy_statement,
    fields_function,
    update_statement,
)
from flower_engine.projection.write.flow_changes import FlowChange

# NULL in a change means "not said", and flags say what is over: an end, if it was reopened; a pause.
_ADDED: LiteralString = "known.{0} + change.{0}"
_LATEST: LiteralString = "greatest(known.{0}, change.{0})"
_FIRST: LiteralString = "coalesce(known.{0}, change.{0})"
_FIRST_OF_CHANGE: LiteralString = "coalesce(change.{0}, known.{0})"
_UNLESS_REOPENED: LiteralString = (
    "CASE WHEN change.reopened IS NULL THEN coalesce(change.{0}, known.{0}) ELSE change.{0} END"
)
_IF_SAID: LiteralString = "CASE WHEN change.pause_said IS NULL THEN known.{0} ELSE change.{0} END"
_WHILE_SUSPENDED: LiteralString = (
    "CASE WHEN known.suspended + change.suspended > 0 THEN coalesce(change.{0}, known.{0}) END"
)
_STATUS: LiteralString = """CASE
        WHEN known.suspended + change.suspended > 0 THEN 2
        WHEN known.waiting + change.waiting + known.running + change.running = 0 THEN
            CASE WHEN coalesce(change.cancelled_ts,
                CASE WHEN change.reopened IS NULL THEN known.cancelled_ts END) IS NULL THEN 3 ELSE 9 END
        WHEN known.waiting + change.waiting = known.tasks + change.tasks THEN 0
        ELSE 1 END"""


def _said(name: LiteralString, kind: Kind, value: str, becomes: LiteralString) -> Column:
    """A column of which a change says the same as a new row."""
    return Column(name, kind, value, value, becomes)


def _or_null(name: LiteralString, kind: Kind, value: str, becomes: LiteralString = "") -> Column:
    """The same, where there may be nothing to say; of a registration nothing changes."""
    return Column(name, kind, value, value if becomes else "", becomes, may_be_null=True)


def _flag(name: LiteralString) -> Column:
    """1 or NULL, so that mostly nothing is sent."""
    return Column(name, INTEGER, sent=f"1 if flow.{name} else None", may_be_null=True)


COLUMNS = (
    Column("partition", INTEGER, "partition"),
    Column("tasks", INTEGER, "len(registered.tasks) + flow.added", "flow.added", _ADDED),
    _said("version", INTEGER, "flow.version", _LATEST),
    _said("waiting", INTEGER, "flow.waiting", _ADDED),
    _said("running", INTEGER, "flow.running", _ADDED),
    _said("suspended", INTEGER, "flow.suspended", _ADDED),
    _said("finished", INTEGER, "flow.finished", _ADDED),
    _said("ignored", INTEGER, "flow.ignored", _ADDED),
    Column("first_ms", BIGINT, "flow.first_ms"),
    _said("last_ms", BIGINT, "flow.last_ms", _LATEST),
    Column("task_flow_id", ID, "flow.flow"),
    Column("task_id", WORD, "registered.workflow"),
    Column("exec_status", NUMERIC, "status", becomes=_STATUS),
    Column("registered_ts", TIME, "registered.at"),
    _or_null("started_ts", TIME, "flow.started_ms", _FIRST),
    _or_null("finished_ts", TIME, "flow.ended_ms", _UNLESS_REOPENED),
    _or_null("suspended_ts", TIME, "flow.suspended_ms", _WHILE_SUSPENDED)._replace(
        copied="flow.suspended_ms if flow.suspended else None"
    ),
    _or_null("registered_by", WORD, "registered.by or None"),
    _or_null("idempotency_key", TEXT, "registered.key or None"),
    _or_null("forked_from", TEXT, "registered.forked_from or None"),
    _or_null("parameters", PARAMETERS, "registered.parameters or None"),
    _or_null("definition", WORD, "registered.definition or None"),
    _or_null("start_ts", TIME, "registered.start_ms or None"),
    _or_null("schedule", WORD, "registered.schedule or None"),
    _or_null("slot_ts", TIME, "registered.slot or None"),
    _or_null("previous_slot_ts", TIME, "registered.previous_slot or None"),
    _or_null("next_slot_ts", TIME, "registered.next_slot or None"),
    _or_null("parent_flow_id", ID, "registered.parent or None"),
    _or_null("parent_task", INTEGER, "registered.parent_task or None"),
    _or_null("parent_attempt", INTEGER, "registered.parent_attempt or None"),
    _or_null("parent_round", INTEGER, "registered.parent_round or None"),
    _or_null("trunk_flow_id", ID, "registered.trunk or None"),
    _or_null("paused_ts", TIME, "flow.paused and flow.paused.at", _IF_SAID),
    _or_null("paused_by", WORD, "flow.paused and flow.paused.by", _IF_SAID),
    _or_null("cancelled_ts", TIME, "flow.cancelled and flow.cancelled.at", _UNLESS_REOPENED),
    _or_null("cancelled_by", WORD, "flow.cancelled and flow.cancelled.by", _UNLESS_REOPENED),
    _or_null("ending_ts", TIME, "flow.ending and flow.ending.at", _UNLESS_REOPENED),
    _or_null("ending_cause", WORD, "flow.ending and flow.ending.cause", _UNLESS_REOPENED),
    _or_null("ending_until_ts", TIME, "(flow.ending and flow.ending.until_ms) or None", _UNLESS_REOPENED),
    _or_null("rounds", INTEGER, "flow.rounds or None", _FIRST_OF_CHANGE),
    _flag("reopened"),
    _flag("pause_said"),
)
_KEYS = (Column("task_flow_id", ID),)

FLOW_COLUMNS = copied_names(COLUMNS)
"""The columns of ``kr_flow_stat``; all follow from events."""
COPY_FLOWS = copy_statement("kr_flow_stat", COLUMNS)
UPDATE_FLOWS = update_statement("kr_flow_stat", COLUMNS, _KEYS)

OfPartition = tuple[int, Collection[FlowChange]]
"""A partition, and what changed of flows of it."""

_row_head = binary_fields.row_head(len(FLOW_COLUMNS))
_fields = fields_function(COLUMNS, "flow, registered, partition, status")
_changed = arrays_function(COLUMNS, "flow")


def new_flows(changed: Iterable[OfPartition]) -> bytes:
    """The data of ``COPY_FLOWS``: the flows registered in these batches."""
    rows = [binary_fields.COPY_HEAD]
    for partition, flow in ((number, flow) for number, flows in changed for flow in flows):
        registered = flow.registered
        if registered is not None:
            status = flow_status(
                tasks=len(registered.tasks) + flow.added,
                waiting=flow.waiting,
                running=flow.running,
                suspended=flow.suspended,
                cancelled=flow.cancelled is not None,
            )
            rows += (_row_head, _fields(flow, registered, partition, status))
    rows.append(binary_fields.COPY_TAIL)
    return b"".join(rows)


def changed_flows(flows: Iterable[FlowChange]) -> list[Packed]:
    """The parameters of ``UPDATE_FLOWS``: flows registered earlier; empty where there are none."""
    known = [flow for flow in flows if flow.registered is None]
    if not known:
        return []
    ids = array(binary_fields.VARCHAR, [binary_fields.text(flow.flow) for flow in known])
    return [ids, *_changed(known)]
