"""What flows are done with is kept somewhere: definitions, the archive of histories, idempotency keys.

In Postgres (``postgres_sources.py``), or in memory (``memory_sources.py``), which is what tests of workflows
use. What the log has beyond the archive is read from Redis in any case.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from flower_engine.model.definitions.definition import Keying, WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import Version
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.definitions.version_rows import KeptVersion
from flower_engine.projection.read.event_views import EventView
from flower_engine.projection.read.views import FlowView

Position = str | None
"""How far a partition is archived; None: nothing of it is yet."""


class KeyOwner(NamedTuple):
    """The flow that an idempotency key belongs to, and its workflow."""

    flow: str
    workflow: str


class Definitions(Protocol):
    """What people set: workflows, and flow control."""

    async def read(self, workflow: str) -> WorkflowDefinition | None:
        """The workflow as it is defined; None: it is not.

        Raises:
            DefinitionError: what is kept cannot be understood.
        """
        ...

    async def put(self, definition: WorkflowDefinition, by: str) -> bool:
        """Defines the workflow anew as a whole, and keeps that version; True if it did not exist.

        Raises:
            DefinitionError: it cannot be run as defined; every problem found is named.
            DefinitionConflictError: somebody else wrote it at the same moment.
        """
        ...

    async def delete(self, workflow: str, by: str) -> bool:
        """Deletes the definition, not its flows; False if there was none."""
        ...

    async def keep_version(self, workflow: str, version: Version) -> None:
        """Keeps the version of a definition that was read, if it is not the newest already."""
        ...

    async def versions(self, workflow: str, before: int | None, limit: int) -> Sequence[KeptVersion]:
        """Up to ``limit`` versions with numbers below ``before``, the highest number first."""
        ...

    async def find_versions(self, workflow: str, which: int | str) -> Sequence[KeptVersion]:
        """The version of this number, or up to two whose hashes begin so; with their definitions."""
        ...

    async def newest_version(self, workflow: str) -> KeptVersion | None:
        """The version that was put to use last; with its definition."""
        ...

    async def returns(self, workflow: str, version_hash: str) -> Any:
        """What flows of this version return, with references; None: nothing, or no such version is kept."""
        ...

    async def keying(self, workflow: str) -> Keying:
        """Which parameters tell flows of the workflow apart for flow control; it need not be defined."""
        ...

    async def controls(self) -> Sequence[FlowControl]:
        """The limits, rates and pauses that are set."""
        ...


class Archive(Protocol):
    """The histories of flows, as far as they are archived, and what follows from them.

    A position that comes with something was read before it: what of a flow the archive does not have then
    lies behind that position in the log.
    """

    async def position(self, partition: int) -> Position:
        """How far the partition is archived."""
        ...

    async def flow(self, partition: int, flow_id: str) -> tuple[Position, FlowView | None]:
        """The flow with its tasks, if any of it is archived; why they wait is left open."""
        ...

    async def events(
        self, partition: int, flow_id: str, tasks: Sequence[int] | None = None
    ) -> tuple[Position, list[ArchivedEvent]]:
        """The flow's events in order, or only those of these tasks and of the flow as a whole; [] for a flow
        that is not archived, or was pruned."""
        ...

    async def page(
        self, partition: int, flow_id: str, after: Position, limit: int
    ) -> tuple[Position, list[EventView]]:
        """Up to ``limit`` of its events behind a position, in order."""
        ...

    async def lost_end(self, flow_id: str) -> str | None:
        """A sentence about the end of the flow, if that lies in a part of the history that is lost."""
        ...

    async def beginning_with(self, prefix: str, limit: int) -> list[str]:
        """Up to ``limit`` ids of flows that begin so, in order; ``prefix`` is in small letters."""
        ...

    async def newest(self) -> str | None:
        """The flow that was registered last."""
        ...

    def pruning(self, flow_id: str) -> AbstractAsyncContextManager[bool | None]:
        """Whether a prune is at work; None: none is, and the flow is not archived (any more). What is found
        holds until the context is left."""
        ...


class KeyOwners(Protocol):
    """Which flow has an idempotency key, as far as registrations are archived."""

    async def find(self, keys: Sequence[str]) -> Mapping[str, KeyOwner]:
        """By key; those that are not known are left out.

        Raises:
            psycopg.Error, StoreUnavailableError: it cannot be said.
        """
        ...
