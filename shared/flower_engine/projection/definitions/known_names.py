"""Which names there are, for those who mistype one: of workflows, programs, queues and parameters."""

from flower_engine.model.tasks.task_spec import DEFAULT_QUEUE
from flower_engine.projection.database import Connection

_HAS_WORKFLOW = """
SELECT EXISTS (SELECT FROM ms_task_definition WHERE task_id = %(name)s)
    OR EXISTS (SELECT FROM kr_flow_stat WHERE task_id = %(name)s)
"""
_WORKFLOWS = "SELECT DISTINCT task_id FROM ms_task_definition LIMIT 5000"
_PROGRAMS = "SELECT DISTINCT program FROM ms_task_definition LIMIT 5000"
_QUEUES = "SELECT DISTINCT coalesce(queue, %s) FROM ms_task_definition WHERE task_id <> %s LIMIT 5000"
_PARAMETERS = """
SELECT DISTINCT given.name FROM ms_task_definition AS task, LATERAL (
    VALUES (param1_key), (param2_key), (param3_key), (param4_key), (param5_key)
    UNION ALL SELECT jsonb_object_keys(
        CASE WHEN jsonb_typeof(task.parameters) = 'object' THEN task.parameters ELSE '{}' END)
) AS given(name) WHERE task.program = %s AND given.name IS NOT NULL LIMIT 5000
"""


async def has_workflow(connection: Connection, name: str) -> bool:
    """Whether the workflow is defined, or flows of it are known."""
    row = await (await connection.execute(_HAS_WORKFLOW, {"name": name})).fetchone()
    return row is not None and bool(row[0])


async def defined_workflows(connection: Connection) -> set[str]:
    """The names of workflows, 5,000 at most; so are those below."""
    return {name async for (name,) in await connection.execute(_WORKFLOWS)}


async def defined_programs(connection: Connection) -> set[str]:
    """Programs that task definitions name."""
    return {name async for (name,) in await connection.execute(_PROGRAMS)}


async def defined_queues(connection: Connection, *, but_of: str = "") -> set[str]:
    """Queues that task definitions name, but for those of one workflow."""
    return {name async for (name,) in await connection.execute(_QUEUES, (DEFAULT_QUEUE, but_of))}


async def defined_parameters(connection: Connection, program: str) -> set[str]:
    """Parameters that task definitions give to a program."""
    return {name async for (name,) in await connection.execute(_PARAMETERS, (program,))}
