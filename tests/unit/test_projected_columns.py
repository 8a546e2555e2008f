"""What a batch changes of flows and tasks is all sent to their tables."""

import re

import pytest

from flower_engine.projection.write import flow_rows, task_rows
from flower_engine.projection.write.flow_changes import FlowChange, TaskChange

NOT_SENT = {
    "flow": "the key of the row",
    "first_ms": "of the first event, so it never changes",
    "registered": "the row is new then",
    "priority": "sent to the rows of its tasks",
    "replaces": "the rows are replaced then",
    "tasks": "sent to rows of their own",
    "expanded": "copied as rows of their own",
}
"""Of a flow, each with the reason."""


@pytest.mark.parametrize("field", TaskChange.__struct_fields__)
def test_every_change_of_a_task_is_sent(field: str) -> None:
    columns = (*task_rows.COLUMNS, *task_rows.BODY_COLUMNS)
    sent = [column.name for column in columns if re.search(rf"\btask\.{field}\b", column.sent)]
    assert sent, f"no column of projection/write/task_rows.py has task.{field}"


@pytest.mark.parametrize("field", sorted(set(FlowChange.__struct_fields__) - set(NOT_SENT)))
def test_every_change_of_a_flow_is_sent(field: str) -> None:
    sent = [column.name for column in flow_rows.COLUMNS if re.search(rf"\bflow\.{field}\b", column.sent)]
    assert sent, f"no column of projection/write/flow_rows.py has flow.{field}"


@pytest.mark.parametrize(
    "columns",
    [task_rows.COLUMNS, task_rows.BODY_COLUMNS, flow_rows.COLUMNS],
    ids=["tasks", "other bodies", "flows"],
)
def test_what_is_sent_changes_a_row_or_is_asked_for(columns: tuple[task_rows.Column, ...]) -> None:
    asked = " ".join(column.becomes.format(column.name) for column in columns)
    unasked = [column.name for column in columns if column.sent and f"change.{column.name}" not in asked]
    assert unasked == []
