"""The columns of the tables are those that follow from the fields of a task's specification."""

import re
from pathlib import Path

import msgspec
import pytest

from filled_tasks import filled_definition
from flower_cli.yaml_documents import documents_of
from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.definition import plan_flow
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.definitions.workflow_versions import version_of
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_rows import encode_workflow, put_workflow, read_workflow
from flower_engine.projection.task_columns import DEFINITION_COLUMNS, FLOW_COLUMNS_OF
from flower_engine.projection.write.task_rows import TASK_COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text()
FOLLOW_FROM_NO_EVENT = {"wait_reason"}  # of the first version; nobody writes it


async def columns_of(tables: Connection, table: str) -> set[str]:
    found = await tables.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND table_name = %s",
        [table],
    )
    return {name for (name,) in await found.fetchall()}


async def test_definitions_have_a_column_for_every_field_and_no_other(tables: Connection) -> None:
    there = await columns_of(tables, "ms_task_definition") - {"task_id"}
    wanted = {column.name for column in DEFINITION_COLUMNS}
    assert wanted - there == set(), "add them to ms_task_definition in a migration (schema/flower_schema)"
    assert there - wanted == set(), "no field of shared/flower_engine/model/tasks/task_spec.py explains them"


async def test_flows_have_a_column_for_every_field_that_they_show_and_no_other(tables: Connection) -> None:
    there = await columns_of(tables, "kr_task_stat")
    shown = set(FLOW_COLUMNS_OF.values())
    assert shown - there == set(), "add them to kr_task_stat in a migration (schema/flower_schema)"
    assert there - set(TASK_COLUMNS) == FOLLOW_FROM_NO_EVENT, (
        "no field of shared/flower_engine/model/tasks/task_spec.py or of an event explains them"
    )
    assert shown <= set(TASK_COLUMNS), "projection/write/task_rows.py does not write them"


async def test_every_field_of_a_definition_is_put_and_read_back(tables: Connection) -> None:
    definition = filled_definition()
    await put_workflow(tables, await encode_workflow(definition), "eve")
    assert await read_workflow(tables, "filled") == definition


async def test_rules_as_the_page_writes_them_with_sql_are_those_that_it_writes_in_yaml(
    tables: Connection,
) -> None:
    found = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (sql,) = [block for block in found if "'loading'" in block]
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (yaml,) = [block for block in blocks if "taskId: loading" in block]
    await tables.execute(sql)
    (document,) = documents_of(yaml.encode())
    read = await read_workflow(tables, "loading")
    assert read is not None
    assert version_of(read) == version_of(msgspec.convert(document, WorkflowDocument).to_model())


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("rule", "'sometimes'", "has the rule 'sometimes', which is none of"),
        ("on_failure", "'hold:soon'", "has on_failure 'hold:soon', which is none of"),
        ("stand_in", "'7'", "has a stand_in with on_failure 'hold'"),
        ("stand_in", "('[' || repeat('[', 3000) || repeat(']', 3000) || ']')::jsonb", "has a stand_in that"),
    ],
)
async def test_a_row_whose_rule_makes_no_sense_is_refused_by_name(
    tables: Connection, column: str, value: str, says: str
) -> None:
    await tables.execute(
        f"INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority, {column})"  # noqa: S608
        f" VALUES ('w', 1, 'A', 0, {value})".encode()
    )
    with pytest.raises(DefinitionError) as refused:
        read = await read_workflow(tables, "w")
        assert read is not None
        plan_flow(read)
    assert refused.value.problems[0].startswith(f"row (task_id 'w', task_seq 1) {says}")


async def test_a_stand_in_that_is_null_is_none(tables: Connection) -> None:
    await tables.execute(
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority, on_failure, stand_in)"
        " VALUES ('w', 1, 'A', 0, 'pass', 'null')"
    )
    read = await read_workflow(tables, "w")
    assert read is not None and read.tasks[0].stand_in is None
