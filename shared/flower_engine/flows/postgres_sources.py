"""What flows are done with, in Postgres."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from psycopg.errors import UniqueViolation

from flower_engine.errors import DefinitionConflictError
from flower_engine.flows.sources import KeyOwner, Position
from flower_engine.model.definitions.definition import Keying, WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import Version
from flower_engine.model.events.beginnings import BEGINNING_TYPES
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.values.positions import as_numbers
from flower_engine.programs.published_program import SeenProgram
from flower_engine.projection.archive.archived_events import ArchivedEvent, history
from flower_engine.projection.archive.refused_events import flow_and_type
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_rows import (
    delete_workflow,
    encode_workflow,
    put_workflow,
    read_keying,
    read_workflow,
)
from flower_engine.projection.definitions.flow_control_rows import read_controls
from flower_engine.projection.definitions.program_rows import known_versions, programs_last_seen
from flower_engine.projection.definitions.version_rows import (
    KeptVersion,
    find_versions,
    is_newest,
    keep_version,
    list_versions,
    newest_version,
    read_returns,
)
from flower_engine.projection.maintain.gaps import lost_end_of
from flower_engine.projection.maintain.pruning import is_being_pruned
from flower_engine.projection.read.event_views import EventView
from flower_engine.projection.read.queries import (
    find_by_keys,
    find_by_prefix,
    newest_flow,
    read_events,
    read_flow,
    read_position,
)
from flower_engine.projection.read.views import FlowView
from flower_engine.projection.write.projected_versions import versions_of

Connect = Callable[[], AbstractAsyncContextManager[Connection]]
"""Gives a connection for a bounded time, or raises psycopg.Error or StoreUnavailableError."""


class PostgresDefinitions:
    """Definitions as the rows of ``ms_task_definition`` and its like."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def read(self, workflow: str) -> WorkflowDefinition | None:
        async with self._connect() as connection:
            return await read_workflow(connection, workflow)

    async def put(self, definition: WorkflowDefinition, by: str) -> bool:
        encoded = await encode_workflow(definition)
        try:
            async with self._connect() as connection:
                return await put_workflow(connection, encoded, by)
        except UniqueViolation:
            raise DefinitionConflictError(definition.name) from None

    async def delete(self, workflow: str, by: str) -> bool:
        async with self._connect() as connection:
            return await delete_workflow(connection, workflow, by)

    async def keep_version(self, workflow: str, version: Version) -> None:
        async with self._connect() as connection:
            if not await is_newest(connection, workflow, version.hash):
                await keep_version(connection, workflow, version)

    async def versions(self, workflow: str, before: int | None, limit: int) -> Sequence[KeptVersion]:
        async with self._connect() as connection:
            return await list_versions(connection, workflow, before=before, limit=limit)

    async def find_versions(self, workflow: str, which: int | str) -> Sequence[KeptVersion]:
        async with self._connect() as connection:
            return await find_versions(connection, workflow, which)

    async def newest_version(self, workflow: str) -> KeptVersion | None:
        async with self._connect() as connection:
            return await newest_version(connection, workflow)

    async def returns(self, workflow: str, version_hash: str) -> Any:
        async with self._connect() as connection:
            return await read_returns(connection, workflow, version_hash)

    async def keying(self, workflow: str) -> Keying:
        async with self._connect() as connection:
            return await read_keying(connection, workflow)

    async def controls(self) -> Sequence[FlowControl]:
        async with self._connect() as connection:
            return (await read_controls(connection)).rows


class PostgresArchive:
    """The archive as the rows of ``kr_event``, and what the projector makes of it."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def position(self, partition: int) -> Position:
        async with self._connect() as connection:
            return await read_position(connection, partition)

    async def flow(self, partition: int, flow_id: str) -> tuple[Position, FlowView | None]:
        async with self._connect() as connection:
            return await read_position(connection, partition), await read_flow(connection, flow_id)

    async def events(
        self, partition: int, flow_id: str, tasks: Sequence[int] | None = None
    ) -> tuple[Position, list[ArchivedEvent]]:
        async with self._connect() as connection:
            projected = await read_position(connection, partition)
            entries = await history(connection, flow_id, tasks)
            if entries and flow_and_type(entries[0].raw)[1] not in BEGINNING_TYPES:
                # Of a flow that was pruned, the event at the projected position had to stay.
                entries = entries if await versions_of(connection, [flow_id]) else []
            return projected, entries

    async def page(
        self, partition: int, flow_id: str, after: Position, limit: int
    ) -> tuple[Position, list[EventView]]:
        async with self._connect() as connection:
            projected = await read_position(connection, partition)
            behind = as_numbers(after)
            return projected, await read_events(connection, flow_id, partition, after=behind, limit=limit)

    async def lost_end(self, flow_id: str) -> str | None:
        async with self._connect() as connection:
            lost = await lost_end_of(connection, flow_id)
        return None if lost is None else str(lost)

    async def beginning_with(self, prefix: str, limit: int) -> list[str]:
        async with self._connect() as connection:
            return await find_by_prefix(connection, prefix, limit)

    async def newest(self) -> str | None:
        async with self._connect() as connection:
            return await newest_flow(connection)

    @asynccontextmanager
    async def pruning(self, flow_id: str) -> AsyncGenerator[bool | None]:
        async with self._connect() as connection, connection.transaction():
            # What that holds keeps others from beginning to prune until the end of the transaction.
            yield await is_being_pruned(connection, flow_id)


class PostgresKeyOwners:
    """Idempotency keys as ``kr_flow_stat`` has them."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def find(self, keys: Sequence[str]) -> Mapping[str, KeyOwner]:
        async with self._connect() as connection:
            found = await find_by_keys(connection, keys)
        return {key: KeyOwner(*owner) for key, owner in found.items()}


class PostgresProgramRecords:
    """Programs as the projector keeps them in ``ms_program``."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def last_seen(self) -> Mapping[str, int]:
        async with self._connect() as connection:
            return await programs_last_seen(connection)

    async def versions(self, program: str) -> Sequence[SeenProgram]:
        async with self._connect() as connection:
            return await known_versions(connection, program)
