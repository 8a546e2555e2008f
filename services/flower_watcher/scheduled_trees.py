"""What a watcher knows of the workflows below those of schedules, and how it hears that one is another."""

from collections.abc import Mapping

import msgspec

from flower_engine.flows.scheduled_trees import is_above_others, with_trees
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_changes import DefinitionChanges
from flower_engine.projection.definitions.schedule_rows import (
    ScheduledWorkflow,
    keep_versions,
    renew_schedules_of,
)


class TreesOfSchedules:
    """The trees as they were last brought to Redis. That a workflow of a schedule is another one is told by
    its table; that one below it is, nobody tells but the changes of definitions."""

    def __init__(self) -> None:
        self._changes = DefinitionChanges()
        self._known: dict[str, ScheduledWorkflow] = {}
        self._is_looking = False
        self._changed: set[str] = set()
        """What changed and was not gone into yet: of a change is told once, whatever fails behind that."""

    async def learn(
        self, connection: Connection, workflows: Mapping[str, ScheduledWorkflow]
    ) -> dict[str, ScheduledWorkflow]:
        """These workflows with their trees, whose versions are kept from now on."""
        if not self._is_looking:
            await self._changes.look(connection)  # before anything is read: what changes then is told
            self._is_looking = True
        found = await with_trees(connection, workflows)
        await keep_versions(connection, found.below)
        for name, one in found.workflows.items():
            if is_above_others(one):
                self._known[name] = one
            else:
                self._known.pop(name, None)
        return found.workflows

    async def renew_above(self, connection: Connection) -> None:
        """Makes the schedules new below whose workflows something is another one."""
        if not self._known:
            return
        self._changed.update(await self._changes.look(connection) or ())
        changed = self._changed
        if not changed:
            return
        concerned = {
            name: msgspec.structs.replace(one, tree={}, problem="")
            for name, one in self._known.items()
            if "" in changed or one.problem or not changed.isdisjoint(one.tree)
        }
        now = (await with_trees(connection, concerned)).workflows
        other = [name for name, one in now.items() if one != self._known[name]]
        if other:
            await renew_schedules_of(connection, other)
        changed.clear()
