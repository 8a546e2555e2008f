"""Names that nobody knows, said to whoever gave them: what was mistyped, and what is near.

What may come later is a warning beside the answer. To look for one never fails or delays the answer itself.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.map_tasks import mapped_program
from flower_engine.model.tasks.task_spec import DEFAULT_QUEUE, TaskSpec
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.model.waits.wait_parameters import MAP
from flower_engine.model.waits.wait_programs import is_wait
from flower_engine.projection.definitions.known_names import (
    defined_parameters,
    defined_programs,
    defined_queues,
    defined_workflows,
    has_workflow,
)
from flower_engine.projection.definitions.schedule_rows import list_schedule_names
from flower_engine.projection.read.failed_tasks import TaskFilter, list_failed
from flower_engine.projection.read.schedule_slots import uids_named
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.transitions.worker_transitions import WorkerInfo

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 2.0
_KEEP_SECONDS = 30.0
_TRY_SECONDS = 10.0  # where the stores do not answer: who asks often is not to wait each time
_MOST = 20


class Names:
    """What is known of names, for one API."""

    def __init__(self, stores: PostgresStores, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._stores = stores
        self._queues: set[str] = set()
        self._clock = clock
        self._queues_read = self._queues_tried = -math.inf

    async def of_scope(self, scope: str, name: str) -> list[str]:
        """A warning where a limit or pause is for something that nobody knows."""
        looks: dict[str, Callable[[], Awaitable[list[str]]]] = {
            "workflow": lambda: self._workflow(name),
            "program": lambda: self._program(name),
            "queue": lambda: self._queue(name),
        }
        look = looks.get(scope)
        return [] if look is None else await _patiently(look)

    async def of_filter(
        self, workflow: str | None, program: str | None = None, *, schedule: str | None = None
    ) -> list[str]:
        """Warnings where nothing was found for a workflow, program or schedule that nobody knows."""

        async def look() -> list[str]:
            found = await self._workflow(workflow) if workflow is not None else []
            found += await self._schedule(schedule) if schedule is not None else []
            return found + (await self._program(program) if program is not None else [])

        return await _patiently(look)

    async def of_failed(self, asked: TaskFilter) -> list[str]:
        """Warnings where no failed task was found: an unknown name, or a text that none has in its error."""
        unknown = await self.of_filter(asked.workflow, asked.program)
        if unknown or asked.text is None:
            return unknown

        async def look() -> list[str]:
            async with self._stores.postgres() as connection:
                anything = msgspec.structs.replace(asked, text=None)
                others, _ = await list_failed(connection, anything, behind=None, limit=1)
            text = short(asked.text or "")
            return [f"no error has {text!r} in its type or message; there are others"] if others else []

        return await _patiently(look)

    async def of_strike(self, program: str, parameter: str) -> list[str]:
        """Warnings where a strike can meet nothing that is known."""

        async def look() -> list[str]:
            unknown = await self._program(program)
            if unknown:
                return unknown
            async with self._stores.postgres() as connection:
                known = await defined_parameters(connection, program)
            versions = (await self._stores.programs.versions([program]))[program] or ()
            known |= {name for version in versions for name in version.parameters}
            if not known or parameter in known:
                return []
            near = nearest_in_words(parameter, known)
            return [f"no parameter {short(parameter)!r} of program {short(program)!r} is known{near}"]

        return await _patiently(look)

    async def of_definition(self, definition: WorkflowDefinition) -> list[str]:
        """Warnings where no worker has ever served a program or queue that tasks name."""

        async def look() -> list[str]:
            served = await self._stores.programs.served()
            if not served:
                return []  # no worker has begun yet: nothing can be said of any name
            found: list[str] = []
            for program in dict.fromkeys(map(_program_of, definition.tasks)):
                if program not in served and not is_wait(program):
                    seqs = [task.task_seq for task in definition.tasks if _program_of(task) == program]
                    near = nearest_in_words(program, served)
                    found.append(f"{_tasks(seqs)}: no worker has served program {short(program)!r}{near}")
            queues = {task.queue for task in definition.tasks} - {DEFAULT_QUEUE}
            workers = await self._stores.programs.workers() if queues else []
            known = {queue for worker in workers for queue in worker.queues}
            if workers and queues - known:
                async with self._stores.postgres() as connection:
                    known |= await defined_queues(connection, but_of=definition.name)
                for queue in sorted(queues - known):
                    seqs = [task.task_seq for task in definition.tasks if task.queue == queue]
                    near = nearest_in_words(queue, known)
                    found.append(f"{_tasks(seqs)}: no live worker serves queue {short(queue)!r}{near}")
            return found[:_MOST]

        return await _patiently(look)

    async def of_workers(self, workers: Sequence[WorkerInfo]) -> list[str]:
        """Warnings of workers that serve queues which no task definition names."""
        queues = {queue for worker in workers for queue in worker.queues} - {DEFAULT_QUEUE}
        if not queues:
            return []

        async def look() -> list[str]:
            await self._read_queues()
            found: list[str] = []
            for queue in sorted(queues - self._queues):
                who = [worker.worker for worker in workers if queue in worker.queues]
                near = nearest_in_words(queue, {*self._queues, DEFAULT_QUEUE})
                others = f" and {len(who) - 1} more" if len(who) > 1 else ""
                found.append(
                    f"no task definition names queue {short(queue)!r}, which worker {who[0]}{others}"
                    f" serve{'' if others else 's'}{near}"
                )
            return found[:_MOST]

        return await _patiently(look)

    async def queues(self) -> list[str]:
        """The queues that definitions name, as they were read lately; those known before where Postgres does
        not answer."""

        async def look() -> list[str]:
            await self._read_queues()
            return []

        if self._clock.monotonic() - self._queues_tried > _TRY_SECONDS:
            self._queues_tried = self._clock.monotonic()
            await _patiently(look)
        return sorted(self._queues)

    async def _read_queues(self) -> None:
        if self._clock.monotonic() - self._queues_read > _KEEP_SECONDS:
            async with self._stores.postgres() as connection:
                self._queues = await defined_queues(connection)
            self._queues_read = self._clock.monotonic()

    async def near_workflow(self, name: str) -> str:
        """ "; nearest: ..." for the error that a workflow is not defined."""

        async def look() -> list[str]:
            async with self._stores.postgres() as connection:
                return [nearest_in_words(name, await defined_workflows(connection))]

        return "".join(await _patiently(look))

    async def _workflow(self, name: str) -> list[str]:
        async with self._stores.postgres() as connection:
            if await has_workflow(connection, name):
                return []
            known = await defined_workflows(connection)
        return [_unknown("workflow", name, known)]

    async def _schedule(self, name: str) -> list[str]:
        async with self._stores.postgres() as connection:
            if await uids_named(connection, name):
                return []
            known = await list_schedule_names(connection)
        return [_unknown("schedule", name, known)]

    async def _program(self, name: str) -> list[str]:
        known = set(await self._stores.programs.served())
        if name in known:
            return []
        async with self._stores.postgres() as connection:
            known |= await defined_programs(connection)
        return [] if name in known else [_unknown("program", name, known)]

    async def _queue(self, name: str) -> list[str]:
        known = {queue for worker in await self._stores.programs.workers() for queue in worker.queues}
        known.add(DEFAULT_QUEUE)
        if name in known:
            return []
        async with self._stores.postgres() as connection:
            known |= await defined_queues(connection)
        return [] if name in known else [_unknown("queue", name, known)]


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    return f"no {what} {short(name)!r} is known{nearest_in_words(name, known)}"


def _tasks(seqs: Sequence[int]) -> str:
    some = ", ".join(map(str, seqs[:5])) + (", ..." if len(seqs) > 5 else "")
    return f"taskSeq {some}"


async def _patiently(look: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """What it finds; nothing where the stores do not say in time: the answer stands without it."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await look()
    except Exception as error:  # noqa: BLE001 # what was done is done: nothing may fail for a warning
        _log.debug("names could not be looked for: %s", error)
        return []


def _program_of(task: TaskSpec) -> str:
    """What workers run for a task."""
    return mapped_program(task.parameters) if task.program == MAP else task.program
