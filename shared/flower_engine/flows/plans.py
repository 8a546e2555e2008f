"""The cache of compiled workflows and their versions: what keeps Postgres off the path of a registration.

An entry is right for as long as somebody listens to changes of definitions (``definition_listener.py``), who
calls :meth:`Plans.forget`. When the listening connection is lost, callers wait a moment for the next one,
which begins with an empty cache; when Postgres cannot be reached at all, registration goes on with what is
cached.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeVar

import msgspec
import psycopg

from flower_engine.errors import StoreUnavailableError, UnknownWorkflowError
from flower_engine.flows.sources import Definitions
from flower_engine.flows.trees import children_of, tree_below
from flower_engine.flows.versions import find_version
from flower_engine.model.definitions.child_plans import Pinned, with_versions
from flower_engine.model.definitions.definition import PlannedTask, WorkflowDefinition, plan_flow
from flower_engine.model.definitions.flow_parameters import flow_parameters_of
from flower_engine.model.definitions.workflow_versions import NEWEST, Version, definition_of, version_of
from flower_engine.store_faults import words_of
from flower_engine.transitions.register_transition import FlowPlan

_log = logging.getLogger(__name__)

MOST_TASKS = 200_000  # of all cached plans together: about 200 MB
_MANY_TASKS = 500  # from here on a thread compiles, and the event loop goes on
_PATIENCE_SECONDS = 1.0

NO_TREE: Mapping[str, Pinned] = {}
_Key = tuple[str, str]  # workflow, and the version that was asked for ("": as it is defined now)
_Made = TypeVar("_Made")
_Load = Callable[[str, str], Awaitable[tuple[FlowPlan, bool]]]


class Plans:
    """Compiled workflows by name and version; the least recently used ones go when there are too many."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._cached: OrderedDict[_Key, FlowPlan] = OrderedDict()
        self._versions: dict[str, set[str]] = {}  # those of a workflow that are cached
        self._tasks = 0
        self._trees = False  # whether any plan that was kept has others below it
        self._reads: dict[_Key, asyncio.Task[FlowPlan]] = {}
        self._settled = asyncio.Event()
        self._settled.set()

    def __len__(self) -> int:
        return len(self._cached)

    async def get(self, workflow: str, version: str = "") -> FlowPlan:
        """The workflow's plan. Concurrent misses of one workflow share one read.

        ``version``: its number, how its hash begins, or "newest", which is as without it.

        Raises:
            UnknownWorkflowError: it has no rows. (Not remembered: it may be defined any moment.)
            UnknownVersionError, AmbiguousVersionError: it has no such version, or several are meant.
            DefinitionError: it cannot be run as its rows define it.
            psycopg.Error: it is not cached, and Postgres cannot be asked.
        """
        if not self._settled.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._settled.wait()
        key = (workflow, "" if version == NEWEST else version)
        plan = self._cached.get(key)
        if plan is not None:
            self._cached.move_to_end(key)
            return plan
        read = self._reads.get(key)
        if read is None:
            load = self._as_defined if key[1] == "" else self._of_version
            read = self._reads[key] = asyncio.create_task(self._load(key, load))
            read.add_done_callback(_retrieve)
        return await asyncio.shield(read)  # a caller who goes away does not take the others' read along

    def forget(self, workflow: str) -> None:
        """The workflow's rows have changed; reads under way are answered but not kept."""
        for key in [key for key in self._reads if key[0] == workflow]:
            del self._reads[key]
        for version in self._versions.pop(workflow, ()):
            self._tasks -= self._cached.pop((workflow, version)).tasks
        above = (
            {key[0] for key, plan in self._cached.items() if workflow in plan.below} if self._trees else ()
        )
        for other in above:
            self.forget(other)

    def forget_all(self) -> None:
        """Any rows may have changed."""
        self._reads.clear()
        self._cached.clear()
        self._versions.clear()
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

    async def _load(self, key: _Key, load: _Load) -> FlowPlan:
        task = asyncio.current_task()
        try:
            plan, is_sure = await load(*key)
            # Who forgot the workflow meanwhile has removed this read, too: the rows read may be the old ones.
            if is_sure and self._reads.get(key) is task:
                self._keep(key, plan)
            return plan
        finally:
            if self._reads.get(key) is task:
                del self._reads[key]

    async def _as_defined(self, workflow: str, _: str) -> tuple[FlowPlan, bool]:
        """The plan of the rows as they are, and whether their version is kept; else it is tried again."""
        definition = await self._definitions.read(workflow)
        if definition is None:
            raise UnknownWorkflowError(f"no tasks registered for workflow {workflow!r}")
        tree = await self._tree(definition)
        plan, version = await _made(definition, lambda: _versioned(definition, tree))
        return plan, await self._is_kept(workflow, version)

    async def _of_version(self, workflow: str, which: str) -> tuple[FlowPlan, bool]:
        """The plan of a version, with the keying of today; a hash that is short may mean two tomorrow."""
        found = await find_version(self._definitions, workflow, which)
        keying = await self._definitions.keying(workflow)
        definition = msgspec.structs.replace(definition_of(workflow, found.canonical), keying=keying)
        tree = await self._tree(definition)
        return await _made(definition, lambda: compile_plan(definition, found.hash, tree)), True

    async def _tree(self, definition: WorkflowDefinition) -> dict[str, Pinned]:
        """The workflows below this one, each in its version of now, which is kept."""
        if not children_of(definition):
            return {}
        tree, below = await tree_below(definition, self._definitions.read)
        for child in below.values():
            await self._definitions.keep_version(child.name, version_of(child))
        return tree

    async def _is_kept(self, workflow: str, version: Version) -> bool:
        """Keeps the version. A Postgres that can be read and not written stops no registration."""
        try:
            await self._definitions.keep_version(workflow, version)
        except (psycopg.Error, StoreUnavailableError) as error:
            _log.warning(
                "version %s of workflow %r could not be kept: %s", version.hash, workflow, words_of(error)
            )
            return False
        return True

    def _keep(self, key: _Key, plan: FlowPlan) -> None:
        self._cached[key] = plan
        self._versions.setdefault(key[0], set()).add(key[1])
        self._tasks += plan.tasks
        self._trees = self._trees or bool(plan.below)
        while self._tasks > MOST_TASKS and len(self._cached) > 1:
            (workflow, version), dropped = self._cached.popitem(last=False)
            self._tasks -= dropped.tasks
            left = self._versions[workflow]
            left.discard(version)
            if not left:
                del self._versions[workflow]


def _versioned(definition: WorkflowDefinition, tree: Mapping[str, Pinned]) -> tuple[FlowPlan, Version]:
    version = version_of(definition)
    return compile_plan(definition, version.hash, tree), version


async def _made(definition: WorkflowDefinition, make: Callable[[], _Made]) -> _Made:
    """What is made of the definition; of a large one in a thread."""
    return await asyncio.to_thread(make) if len(definition.tasks) > _MANY_TASKS else make()


def compile_plan(
    definition: WorkflowDefinition, version_hash: str, tree: Mapping[str, Pinned] = NO_TREE
) -> FlowPlan:
    """The plan of a definition, which has this hash. ``tree``: the versions of the workflows below it; where
    it is not given, each child is of the version that stands when it begins.

    Raises:
        DefinitionError: it cannot be run.
    """
    return plan_with(definition, plan_flow(definition), version_hash, tree)


def plan_with(
    definition: WorkflowDefinition,
    planned: tuple[PlannedTask, ...],
    version_hash: str,
    tree: Mapping[str, Pinned],
) -> FlowPlan:
    """The plan of a definition whose flows have these tasks; see :func:`compile_plan`."""
    if tree:
        planned = with_versions(planned, tree)
    return FlowPlan(
        definition.name,
        planned,
        timeout_ms=definition.timeout_ms,
        cleanup_ms=definition.cleanup_timeout_ms,
        keying=definition.keying,
        definition=version_hash,
        takes=flow_parameters_of(definition, planned),
        below=frozenset(tree),
        pin=definition.pin,
    )


def _retrieve(read: asyncio.Task[FlowPlan]) -> None:
    """Marks an error as seen, for the case that every caller went away."""
    if not read.cancelled():
        read.exception()
