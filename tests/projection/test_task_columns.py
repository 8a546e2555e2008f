"""The columns of the tables are those that follow from the fields of a task's specification."""

from filled_tasks import filled_definition
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_rows import encode_workflow, put_workflow, read_workflow
from flower_engine.projection.task_columns import DEFINITION_COLUMNS, FLOW_COLUMNS_OF
from flower_engine.projection.write.task_rows import TASK_COLUMNS

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
    assert there - wanted == set(), "no field of shared/flower_engine/model/task_spec.py explains them"


async def test_flows_have_a_column_for_every_field_that_they_show_and_no_other(tables: Connection) -> None:
    there = await columns_of(tables, "kr_task_stat")
    shown = set(FLOW_COLUMNS_OF.values())
    assert shown - there == set(), "add them to kr_task_stat in a migration (schema/flower_schema)"
    assert there - set(TASK_COLUMNS) == FOLLOW_FROM_NO_EVENT, (
        "no field of shared/flower_engine/model/task_spec.py or of an event explains them"
    )
    assert shown <= set(TASK_COLUMNS), "projection/write/task_rows.py does not write them"


async def test_every_field_of_a_definition_is_put_and_read_back(tables: Connection) -> None:
    definition = filled_definition()
    await put_workflow(tables, await encode_workflow(definition), "eve")
    assert await read_workflow(tables, "filled") == definition
