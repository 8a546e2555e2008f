"""Versions in Postgres: what is written, read back, has the hash that it was written under."""

import asyncio

from hypothesis import HealthCheck, given, settings

from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import definition_of, version_of
from flower_engine.projection.database import connect
from flower_engine.projection.definitions.definition_rows import encode_workflow, put_workflow, read_workflow
from flower_engine.projection.definitions.version_rows import newest_version
from fuzzing import examples
from unit.definitions import definitions


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(definition=definitions())
def test_rows_have_the_hash_of_the_definition_that_was_put(
    database_url: str, definition: WorkflowDefinition
) -> None:
    async def put_and_read() -> None:
        async with await connect(database_url, "test") as connection:
            await put_workflow(connection, await encode_workflow(definition), "eve")
            rows = await read_workflow(connection, definition.name)
            kept = await newest_version(connection, definition.name)
        assert rows is not None
        assert kept is not None
        assert (kept.hash, kept.canonical) == (version_of(definition).hash, version_of(definition).canonical)
        assert version_of(rows) == version_of(definition)
        assert version_of(definition_of(definition.name, kept.canonical)) == version_of(definition)

    asyncio.run(put_and_read())
