"""The rows of ``kr_task_stat``: new ones for COPY, and what changes of those that are there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import LiteralString, cast

from flower_engine.model.events.event_meaning import PASSING_FACTS
from flower_engine.model.events.wait_events import TaskExpanded
from flower_engine.model.tasks.field_types import SPEC_FIELDS
from flower_engine.projection import binary_fields
from flower_engine.projection.binary_fields import array
from flower_engine.projection.database import Packed
from flower_engine.projection.task_columns import FLOW_COLUMNS_OF, PLAIN, SELDOM, columns_of_field
from flower_engine.projection.write.columns import (
    AWAITING,
    BLOB,
    BOOLEAN,
    ERROR,
    ID,
    INTEGER,
    NAMES,
    NUMERIC,
    PACKED_ID,
    PARAMETERS,
    PROGRESS,
    RESULT,
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
from flower_engine.projection.write.flow_changes import FlowChange, TaskChange

_FEW = 16  # dependencies that are remembered as they are sent: mostly the same few come again and again


def _last(depends_on: tuple[int, ...]) -> bytes:
    return _last_of_few(depends_on) if len(depends_on) <= _FEW else binary_fields.numeric(max(depends_on))


def _all(depends_on: tuple[int, ...]) -> bytes:
    return _all_of_few(depends_on) if len(depends_on) <= _FEW else _edges(depends_on)


@lru_cache(4096)
def _last_of_few(depends_on: tuple[int, ...]) -> bytes:
    return binary_fields.numeric(max(depends_on, default=-1))


@lru_cache(4096)
def _all_of_few(depends_on: tuple[int, ...]) -> bytes:
    return _edges(depends_on)


def _edges(depends_on: tuple[int, ...]) -> bytes:
    return binary_fields.array_field(
        binary_fields.INTEGER, [binary_fields.integer(seq) for seq in depends_on]
    )


# NULL in a change means "not said", so what is known is kept; what goes with a status is said with it, NULL
# included; and of what may be over, a flag says that it is.
_KEPT: LiteralString = "coalesce(change.{0}, known.{0})"
_WITH_STATUS: LiteralString = "CASE WHEN change.exec_status IS NULL THEN known.{0} ELSE change.{0} END"
_WITH_STATUS_OR_TOLD: LiteralString = (
    "CASE WHEN change.exec_status IS NULL THEN coalesce(change.{0}, known.{0}) ELSE change.{0} END"
)
_FORGETTABLE: LiteralString = (
    "CASE WHEN change.forget_{0} IS NULL THEN coalesce(change.{0}, known.{0}) ELSE change.{0} END"
)

_NONE_IS_NULL: LiteralString = "nullif(coalesce(change.{0}, known.{0}), 0)"
_OF_A_ROUND: LiteralString = "CASE WHEN change.round = 0 THEN NULL ELSE coalesce(change.{0}, known.{0}) END"


def _fact(name: LiteralString, kind: Kind, fact: str) -> Column:
    """A column that holds a fact."""
    if fact in PASSING_FACTS:
        becomes = _WITH_STATUS
    else:
        becomes = _FORGETTABLE if f"forget_{fact}" in TaskChange.__struct_fields__ else _KEPT
    return Column(name, kind, f"task.{fact}", f"task.{fact}", becomes, may_be_null=True)


def _number(name: LiteralString, kind: Kind, fact: str) -> Column:
    """A column that holds a fact that a new row has, too: 0 where nothing is said."""
    return _fact(name, kind, fact)._replace(copied=f"task.{fact} or 0")


def _flag(name: LiteralString) -> Column:
    """1 or NULL, so that mostly nothing is sent."""
    return Column(name, INTEGER, sent=f"1 if task.{name} else None", may_be_null=True)


def _planned_as_it_is(name: str) -> Column:
    """A column that holds a field of the task's specification under its own name."""
    field = SPEC_FIELDS[name]
    kind = {str: WORD, int: INTEGER, bool: BOOLEAN}[field.type]
    column = columns_of_field(name)[0].name
    value, may_be_null = f"planned.{name}", field.is_optional
    if name in SELDOM:
        value, may_be_null = f"None if {value} == {field.default!r} else {value}", True
    return Column(cast("LiteralString", column), kind, value, may_be_null=may_be_null)


_PLANNED = (
    Column("task_exec_seq", NUMERIC, "planned.seq"),
    Column(
        "depends_task_exec_seq", Kind("numeric", binary_fields.NUMERIC, _last), "planned.own_dependencies"
    ),
    Column("task_id", PACKED_ID, "workflow"),
    Column("task_seq", NUMERIC, "planned.task_seq"),
    Column("task_priority", NUMERIC, "priority"),
    Column(
        "parameters",
        PARAMETERS,
        "planned.parameters if task is None or task.parameters is None else task.parameters",
        "task.parameters",
        _KEPT,
        may_be_null=True,
    ),
    Column("depends_on", Kind("integer[]", binary_fields.INTEGER, _all), "planned.own_dependencies"),
    Column("when_is", PARAMETERS, "planned.when", may_be_null=True),
    *(_planned_as_it_is(name) for name in PLAIN if name in FLOW_COLUMNS_OF),
    Column("definition", WORD, "planned.definition or None", may_be_null=True),
    Column("item_of", INTEGER, "planned.item and planned.item[0]", may_be_null=True),
    Column("item_index", INTEGER, "planned.item and planned.item[1]", may_be_null=True),
    Column("item_key", TEXT, "planned.item_key or None", may_be_null=True),
)
_OF_THE_FLOW = (
    Column("task_flow_id", ID, "flow.flow"),
    Column("registered_ts", TIME, "registered.at"),
)
_ENDED_AS = "task.ended_as or None"
_STANDING = (
    _number("exec_status", NUMERIC, "status"),
    Column("ended_as", WORD, _ENDED_AS, _ENDED_AS, _WITH_STATUS, may_be_null=True),
    _number("attempt", INTEGER, "attempt"),
    _number("lost", INTEGER, "lost"),
    _number("failures", INTEGER, "failures"),
    _fact("worker", WORD, "worker"),
    _fact("started_ts", TIME, "started_ms"),
    _fact("finished_ts", TIME, "finished_ms"),
    _fact("suspended_ts", TIME, "suspended_ms"),
    _fact("retry_ts", TIME, "retry_ms"),
    _fact("again_ts", TIME, "again_ms"),
    _fact("round", INTEGER, "round")._replace(copied="task.round or None", becomes=_NONE_IS_NULL),
    _fact("given", RESULT, "given")._replace(becomes=_OF_A_ROUND),
    _fact("result", RESULT, "result"),
    _fact("blob", BLOB, "blob"),
    _fact("error", ERROR, "error"),
    _fact("progress", PROGRESS, "progress"),
    _fact("ignored_by", WORD, "ignored_by"),
    _fact("ignore_reason", TEXT, "ignore_reason"),
    _fact("awaiting", AWAITING, "awaiting"),
    _fact("taken_from", INTEGER, "taken_from"),
    _fact("votes", NAMES, "votes")._replace(becomes=_WITH_STATUS_OR_TOLD),
    _flag("forget_error"),
    _flag("forget_progress"),
)
COLUMNS = (*_PLANNED, *_OF_THE_FLOW, *_STANDING)

# Of tasks of which another version holds: what else of the row follows from their bodies. (Few are changed
# so; those that are not shall not have to say it.)
BODY_COLUMNS = (
    Column("task_priority", INTEGER, sent="task.priority", becomes=_KEPT, may_be_null=True),
    *(
        column._replace(sent=column.copied.replace("planned.", "task.body."), becomes="change.{0}")
        for column in _PLANNED
        if column.name in {"definition", *(columns_of_field(name)[0].name for name in PLAIN)}
    ),
)
_KEYS = (Column("task_flow_id", ID), Column("task_exec_seq", NUMERIC))

TASK_COLUMNS = copied_names(COLUMNS)
"""The columns of ``kr_task_stat`` that follow from events."""
COPY_TASKS = copy_statement("kr_task_stat", COLUMNS)
UPDATE_TASKS = update_statement("kr_task_stat", COLUMNS, _KEYS)
UPDATE_BODIES = update_statement("kr_task_stat", BODY_COLUMNS, _KEYS)
UPDATE_PRIORITIES: LiteralString = """
UPDATE kr_task_stat AS known SET task_priority = change.priority
FROM unnest(%b::varchar[], %b::integer[]) AS change (task_flow_id, priority)
WHERE known.task_flow_id = change.task_flow_id
"""

_row_head = binary_fields.row_head(len(TASK_COLUMNS))
_planned = fields_function(_PLANNED, "planned, task, priority, workflow")
_of_the_flow = fields_function(_OF_THE_FLOW, "flow, registered")
_standing = fields_function(_STANDING, "task")
_changed = arrays_function(COLUMNS, "task")
_other_bodies = arrays_function(BODY_COLUMNS, "task")
_UNTOUCHED = _standing(TaskChange())


def new_tasks(flows: Iterable[FlowChange]) -> bytes:
    """The data of ``COPY_TASKS``: every task of the flows registered in this batch, and items that came in
    it."""
    rows = [binary_fields.COPY_HEAD]
    for flow in flows:
        for event in flow.expanded:
            rows += _items(flow, event)
        registered = flow.registered
        if registered is None:
            continue
        changed = flow.tasks
        workflow = binary_fields.short_text(registered.workflow)
        of_the_flow = _of_the_flow(flow, registered)
        for planned in registered.tasks:
            task = changed.get(planned.seq)
            priority = planned.priority if flow.priority is None else flow.priority
            if task is not None and task.body is not None:
                planned = task.body  # noqa: PLW2901 # it is the same task
                priority = priority if task.priority is None else task.priority
            rows += (
                _row_head,
                _planned(planned, task, priority, workflow),
                of_the_flow,
                _UNTOUCHED if task is None else _standing(task),
            )
    rows.append(binary_fields.COPY_TAIL)
    return b"".join(rows)


def _items(flow: FlowChange, event: TaskExpanded) -> Iterator[bytes]:
    """The rows of items that came in this batch."""
    workflow = binary_fields.short_text(event.workflow)
    of_the_flow = _of_the_flow(flow, event)
    for planned in event.tasks:
        task = flow.tasks.get(planned.seq)
        priority = planned.priority if flow.priority is None else flow.priority
        yield _row_head
        yield _planned(planned, task, priority, workflow)
        yield of_the_flow
        yield _UNTOUCHED if task is None else _standing(task)


def _known_before(flow: FlowChange) -> Mapping[int, TaskChange]:
    """What changes of tasks that had their rows before this batch."""
    came = [event.numbers for event in flow.expanded]
    return {seq: task for seq, task in flow.tasks.items() if not any(seq in one for one in came)}


def changed_tasks(flows: Iterable[FlowChange]) -> list[Packed]:
    """The parameters of ``UPDATE_TASKS``: tasks of flows registered earlier; empty where there are none."""
    flow_ids: list[bytes] = []
    numbers: list[int] = []
    tasks: list[TaskChange] = []
    for flow in flows:
        if flow.registered is None and flow.tasks:
            known = _known_before(flow) if flow.expanded else flow.tasks
            flow_ids += [binary_fields.text(flow.flow)] * len(known)
            numbers += known.keys()
            tasks += known.values()
    return [*_key_arrays(flow_ids, numbers), *_changed(tasks)] if tasks else []


def changed_bodies(flows: Iterable[FlowChange]) -> list[Packed]:
    """The parameters of ``UPDATE_BODIES``; empty where there are none."""
    changed = [
        (binary_fields.text(flow.flow), seq, task)
        for flow in flows
        if flow.registered is None
        for seq, task in flow.tasks.items()
        if task.body is not None
    ]
    if not changed:
        return []
    keys = _key_arrays([flow for flow, _, _ in changed], [seq for _, seq, _ in changed])
    return [*keys, *_other_bodies([task for _, _, task in changed])]


def _key_arrays(flow_ids: Sequence[bytes], numbers: Sequence[int]) -> list[Packed]:
    return [
        array(binary_fields.VARCHAR, flow_ids),
        array(binary_fields.NUMERIC, [binary_fields.numeric(number) for number in numbers]),
    ]


def changed_priorities(flows: Iterable[FlowChange]) -> list[Packed]:
    """The parameters of ``UPDATE_PRIORITIES``; empty where there are none."""
    changed = [flow for flow in flows if flow.registered is None and flow.priority is not None]
    if not changed:
        return []
    return [
        array(binary_fields.VARCHAR, [binary_fields.text(flow.flow) for flow in changed]),
        array(binary_fields.INTEGER, [binary_fields.integer(flow.priority or 0) for flow in changed]),
    ]
