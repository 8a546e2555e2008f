"""The cache of compiled workflows: what keeps Postgres off the path of a registration.

An entry is right for as long as somebody listens to changes of definitions (``definition_listener.py``), who
calls :meth:`Plans.forget`. When the listening connection is lost, callers wait a moment for the next one,
which begins with an empty cache; when Postgres cannot be reached at all, registration goes on with what is
cached.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress

from flower_engine.errors import UnknownWorkflowError
from flower_engine.model.definition import WorkflowDefinition, plan_flow
from flower_engine.transitions.register_transition import FlowPlan

Read = Callable[[str], Awaitable[WorkflowDefinition | None]]

MOST_TASKS = 200_000  # of all cached plans together: about 200 MB
_MANY_TASKS = 500  # from here on a thread compiles, and the event loop goes on
_PATIENCE_SECONDS = 1.0


class Plans:
    """Compiled workflows by name, the least recently used ones dropped when there are too many."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._cached: OrderedDict[str, FlowPlan] = OrderedDict()
        self._tasks = 0
        self._reads: dict[str, asyncio.Task[FlowPlan]] = {}
        self._settled = asyncio.Event()
        self._settled.set()

    def __len__(self) -> int:
        return len(self._cached)

    async def get(self, workflow: str) -> FlowPlan:
        """The workflow's plan. Concurrent misses of one workflow share one read.

        Raises:
            UnknownWorkflowError: it has no rows. (Not remembered: it may be defined any moment.)
            DefinitionError: it cannot be run as its rows define it.
            psycopg.Error: it is not cached, and Postgres cannot be asked.
        """
        if not self._settled.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._settled.wait()
        plan = self._cached.get(workflow)
        if plan is not None:
            self._cached.move_to_end(workflow)
            return plan
        read = self._reads.get(workflow)
        if read is None:
            read = self._reads[workflow] = asyncio.create_task(self._load(workflow))
            read.add_done_callback(_retrieve)
        return await asyncio.shield(read)  # a caller who goes away does not take the others' read along

    def forget(self, workflow: str) -> None:
        """The workflow's rows have changed; reads under way are answered but not kept."""
        self._reads.pop(workflow, None)
        plan = self._cached.pop(workflow, None)
        if plan is not None:
            self._tasks -= plan.tasks

    def forget_all(self) -> None:
        """Any rows may have changed."""
        self._reads.clear()
        self._cached.clear()
        self._tasks = 0

    def listener_is_lost(self) -> None:
        """Changes may go unnoticed from now on: callers wait a moment for the next call of these two."""
        self._settled.clear()

    def listener_is_back(self) -> None:
        """Changes are noticed from now on; what went on before is not known."""
        self.forget_all()
        self._settled.set()

    def postgres_is_away(self) -> None:
        """Nobody can listen; what is cached is the best there is."""
        self._settled.set()

    async def _load(self, workflow: str) -> FlowPlan:
        task = asyncio.current_task()
        try:
            definition = await self._read(workflow)
            if definition is None:
                raise UnknownWorkflowError(f"no tasks registered for workflow {workflow!r}")
            if len(definition.tasks) > _MANY_TASKS:
                plan = await asyncio.to_thread(_compile, definition)
            else:
                plan = _compile(definition)
            # Who forgot the workflow meanwhile has removed this read, too: the rows read may be the old ones.
            if self._reads.get(workflow) is task:
                self._keep(workflow, plan)
            return plan
        finally:
            if self._reads.get(workflow) is task:
                del self._reads[workflow]

    def _keep(self, workflow: str, plan: FlowPlan) -> None:
        self._cached[workflow] = plan
        self._tasks += plan.tasks
        while self._tasks > MOST_TASKS and len(self._cached) > 1:
            _, dropped = self._cached.popitem(last=False)
            self._tasks -= dropped.tasks


def _compile(definition: WorkflowDefinition) -> FlowPlan:
    return FlowPlan(
        definition.name, plan_flow(definition), timeout_ms=definition.timeout_ms, keying=definition.keying
    )


def _retrieve(read: asyncio.Task[FlowPlan]) -> None:
    """Marks an error as seen, for the case that every caller went away."""
    if not read.cancelled():
        read.exception()
