"""What flows are done with, in memory: for tests of workflows, which need no Postgres then."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from flower_engine.flows.sources import KeyOwner, Position
from flower_engine.log.entries import LogEntry
from flower_engine.model.definitions.definition import Keying, WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import Version, definition_of, version_of
from flower_engine.model.events.events import FlowRegistered, decode_event
from flower_engine.model.flow_control.flow_control import FlowControl, Scope
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.archive.histories import read_event, state_of
from flower_engine.projection.definitions.rows_of_definition import check_definition
from flower_engine.projection.definitions.version_rows import KeptVersion
from flower_engine.projection.read.event_views import EventView
from flower_engine.projection.read.state_views import view_of_state
from flower_engine.projection.read.view_fields import moment
from flower_engine.projection.read.views import FlowView
from flower_engine.runtime.clock import Clock


class MemoryDefinitions:
    """Definitions of workflows and their versions, and flow control."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._workflows: dict[str, WorkflowDefinition] = {}
        self._versions: dict[str, dict[str, KeptVersion]] = {}  # by hash, the newest last
        self._controls: dict[tuple[Scope, str], FlowControl] = {}

    async def read(self, workflow: str) -> WorkflowDefinition | None:
        definition = self._workflows.get(workflow)
        return definition and msgspec.structs.replace(definition, keying=self._keying(workflow))

    async def put(self, definition: WorkflowDefinition, by: str) -> bool:
        check_definition(definition)
        is_new = definition.name not in self._workflows
        self._workflows[definition.name] = definition
        self._keep(definition.name, version_of(definition), len(definition.tasks), by)
        return is_new

    async def delete(self, workflow: str, by: str) -> bool:
        return self._workflows.pop(workflow, None) is not None

    async def keep_version(self, workflow: str, version: Version) -> None:
        """What was put is kept already."""

    async def versions(self, workflow: str, before: int | None, limit: int) -> Sequence[KeptVersion]:
        found = self._versions.get(workflow, {}).values()
        below = [one for one in found if before is None or one.number < before]
        return sorted(below, key=lambda one: -one.number)[:limit]

    async def find_versions(self, workflow: str, which: int | str) -> Sequence[KeptVersion]:
        found = self._versions.get(workflow, {}).values()
        if isinstance(which, int):
            return [one for one in found if one.number == which]
        return [one for one in found if one.hash.startswith(which)][:2]

    async def newest_version(self, workflow: str) -> KeptVersion | None:
        return next(reversed(self._versions.get(workflow, {}).values()), None)

    async def returns(self, workflow: str, version_hash: str) -> Any:
        found = self._versions.get(workflow, {}).get(version_hash)
        return None if found is None else definition_of(workflow, found.canonical).returns

    async def keying(self, workflow: str) -> Keying:
        return self._keying(workflow)

    async def controls(self) -> Sequence[FlowControl]:
        return tuple(self._controls.values())

    def put_control(self, control: FlowControl) -> None:
        """Replaces all settings of its scope and name."""
        self._controls[control.scope, control.name] = control

    def _keying(self, workflow: str) -> Keying:
        own = self._controls.get(("workflow", workflow))
        return Keying(
            fair_by=own and own.fair_by,
            limit_by=own and own.limit_by,
            programs={
                name: one.limit_by
                for (scope, name), one in self._controls.items()
                if scope == "program" and one.limit_by is not None
            },
        )

    def _keep(self, workflow: str, version: Version, tasks: int, by: str) -> None:
        kept = self._versions.setdefault(workflow, {})
        now = moment(self._clock.now_ms())
        for version_hash, other in kept.items():
            kept[version_hash] = msgspec.structs.replace(other, is_newest=False)
        known = kept.pop(version.hash, None)
        if known is None:
            known = KeptVersion(len(kept) + 1, version.hash, now, by, tasks, True, version.canonical)
        kept[version.hash] = msgspec.structs.replace(known, is_newest=True)


class MemoryArchive:
    """The archive: the entries of the log that it was given, which may be none. Nothing is pruned or lost."""

    def __init__(self) -> None:
        self._positions: dict[int, str] = {}
        self._events: dict[str, list[ArchivedEvent]] = {}
        self._registered_ms: dict[str, int] = {}
        self.owners: dict[str, KeyOwner] = {}

    def take(self, partition: int, entries: Iterable[LogEntry]) -> None:
        """Archives the next entries of a partition's log."""
        for entry in entries:
            event = decode_event(entry.raw)
            self._positions[partition] = entry.position
            flow: str | None = getattr(event, "flow", None)
            if flow is not None:
                self._events.setdefault(flow, []).append(ArchivedEvent(entry.position, entry.raw))
            if isinstance(event, FlowRegistered):
                self._registered_ms[event.flow] = event.at
                if event.key:
                    self.owners.setdefault(event.key, KeyOwner(event.flow, event.workflow))

    async def position(self, partition: int) -> Position:
        return self._positions.get(partition)

    async def flow(self, partition: int, flow_id: str) -> tuple[Position, FlowView | None]:
        entries = self._events.get(flow_id)
        view = view_of_state(state_of(flow_id, entries), partition) if entries else None
        return self._positions.get(partition), view

    async def events(
        self, partition: int, flow_id: str, tasks: Sequence[int] | None = None
    ) -> tuple[Position, list[ArchivedEvent]]:
        entries = self._events.get(flow_id, [])
        if tasks is not None:
            wanted = (None, *tasks)
            entries = [one for one in entries if getattr(read_event(flow_id, one), "task", None) in wanted]
        return self._positions.get(partition), list(entries)

    async def page(
        self, partition: int, flow_id: str, after: Position, limit: int
    ) -> tuple[Position, list[EventView]]:
        behind = as_numbers(after)
        entries = [one for one in self._events.get(flow_id, []) if as_numbers(one.position) > behind]
        views = [EventView.of(one.position, one.raw, None, archived=True) for one in entries[:limit]]
        return self._positions.get(partition), views

    async def lost_end(self, flow_id: str) -> str | None:
        return None

    async def beginning_with(self, prefix: str, limit: int) -> list[str]:
        return sorted(flow for flow in self._events if flow.startswith(prefix))[:limit]

    async def newest(self) -> str | None:
        registered = self._registered_ms
        return max(registered, key=lambda flow: (registered[flow], flow), default=None)

    @asynccontextmanager
    async def pruning(self, flow_id: str) -> AsyncGenerator[bool | None]:
        yield False if flow_id in self._events else None


class MemoryKeyOwners:
    """Idempotency keys as an archive in memory has them."""

    def __init__(self, archive: MemoryArchive) -> None:
        self._archive = archive

    async def find(self, keys: Sequence[str]) -> Mapping[str, KeyOwner]:
        return {key: owner for key in keys if (owner := self._archive.owners.get(key)) is not None}
