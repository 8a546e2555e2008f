"""Every field of a task's specification, from what people write to what they are shown."""

import msgspec

from api.serving import RunningApi
from filled_tasks import filled_definition, filled_task
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.projection.task_columns import DEFINITION_COLUMNS, FLOW_COLUMNS_OF


async def test_what_is_defined_over_http_or_with_sql_is_shown_and_goes_into_the_flow(
    own_api: RunningApi,
) -> None:
    body = msgspec.json.decode(msgspec.json.encode(WorkflowDocument.of(filled_definition())))
    own_api.client.put("/workflows/filled", json=body).raise_for_status()
    assert own_api.client.get("/workflows/filled").json() == body

    columns = ", ".join(column.name for column in DEFINITION_COLUMNS)
    own_api.sql(
        f"INSERT INTO ms_task_definition (task_id, {columns})"  # noqa: S608 # names of columns
        f" SELECT 'copy', {columns} FROM ms_task_definition WHERE task_id = 'filled'"
    )
    assert own_api.client.get("/workflows/copy").json() == body | {"taskId": "copy"}

    flow = own_api.register("copy")
    from_the_log = own_api.flow(flow)["tasks"][1]
    await own_api.project()
    from_postgres = own_api.flow(flow)["tasks"][1]
    planned = msgspec.json.decode(msgspec.json.encode(filled_task()))
    for task in (from_the_log, from_postgres):
        for name, column in FLOW_COLUMNS_OF.items():
            first, *rest = column.split("_")
            assert task[first + "".join(map(str.capitalize, rest))] == planned[name.removesuffix("_")], column
