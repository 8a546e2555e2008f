"""The cache of plans: one read for many callers, and never a stale plan after a change."""

import asyncio

import pytest

from flower_engine.errors import DefinitionError, UnknownWorkflowError
from flower_engine.flows import plans as plans_module
from flower_engine.flows.memory_sources import MemoryDefinitions
from flower_engine.flows.plans import Plans
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.runtime.clock import SystemClock


class Table(MemoryDefinitions):
    """Definitions whose reads a test holds up as it likes."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.program = "old"
        self.reads = 0
        self.tasks = 1
        self.is_gone = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def read(self, workflow: str) -> WorkflowDefinition | None:
        self.reads += 1
        tasks = tuple(TaskDefinition(task_seq=seq, program=self.program) for seq in range(1, self.tasks + 1))
        is_gone = self.is_gone
        await self.go_on.wait()  # what was read stays read, whatever happens meanwhile
        return None if is_gone else WorkflowDefinition(name=workflow, tasks=tasks)


def _program(plan: object) -> str:
    return "old" if b'"old"' in plan.args[5] else "new"  # type: ignore[attr-defined]


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def plans(table: Table) -> Plans:
    return Plans(table)


async def test_a_workflow_is_read_once(plans: Plans, table: Table) -> None:
    assert await plans.get("w") is await plans.get("w")
    assert table.reads == 1


async def test_concurrent_misses_share_one_read(plans: Plans, table: Table) -> None:
    table.go_on.clear()
    callers = [asyncio.create_task(plans.get("w")) for _ in range(50)]
    await asyncio.sleep(0)
    table.go_on.set()
    assert len({id(plan) for plan in await asyncio.gather(*callers)}) == 1
    assert table.reads == 1


async def test_a_change_during_a_read_is_not_covered_by_what_was_read(plans: Plans, table: Table) -> None:
    table.go_on.clear()
    before = asyncio.create_task(plans.get("w"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    table.program = "new"
    plans.forget("w")  # the notification comes while the old rows are on their way
    after = asyncio.create_task(plans.get("w"))
    await asyncio.sleep(0)
    table.go_on.set()
    assert _program(await before) == "old"
    assert _program(await after) == "new"
    assert _program(await plans.get("w")) == "new"
    assert table.reads == 2


async def test_a_caller_who_goes_away_does_not_take_the_others_read_along(plans: Plans, table: Table) -> None:
    table.go_on.clear()
    first = asyncio.create_task(plans.get("w"))
    await asyncio.sleep(0)
    second = asyncio.create_task(plans.get("w"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    table.go_on.set()
    assert _program(await second) == "old"
    assert table.reads == 1


async def test_an_unknown_workflow_is_looked_for_each_time(plans: Plans, table: Table) -> None:
    table.is_gone = True
    with pytest.raises(UnknownWorkflowError, match="'w'"):
        await plans.get("w")
    table.is_gone = False
    assert _program(await plans.get("w")) == "old"


async def test_a_broken_definition_is_not_remembered(plans: Plans, table: Table) -> None:
    table.program = ""
    with pytest.raises(DefinitionError):
        await plans.get("w")
    table.program = "new"
    assert _program(await plans.get("w")) == "new"


async def test_the_plans_used_least_recently_are_dropped(
    plans: Plans, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans_module, "MOST_TASKS", 30)
    table.tasks = 10
    for name in ("a", "b", "c", "a", "d"):
        await plans.get(name)
    assert table.reads == 4
    await plans.get("a")
    assert table.reads == 4
    await plans.get("b")
    assert (table.reads, len(plans)) == (5, 3)


async def test_nothing_cached_is_trusted_after_a_gap_in_listening(plans: Plans, table: Table) -> None:
    await plans.get("w")
    plans.listener_is_lost()
    caller = asyncio.create_task(plans.get("w"))
    await asyncio.sleep(0)
    table.program = "new"
    plans.listener_is_back()
    assert _program(await caller) == "new"


async def test_what_is_cached_is_used_while_postgres_is_away(plans: Plans, table: Table) -> None:
    await plans.get("w")
    plans.listener_is_lost()
    plans.postgres_is_away()
    assert _program(await plans.get("w")) == "old"
    assert table.reads == 1


async def test_a_caller_does_not_wait_long_for_a_listener(
    plans: Plans, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans_module, "_PATIENCE_SECONDS", 0.01)
    await plans.get("w")
    plans.listener_is_lost()
    assert _program(await plans.get("w")) == "old"
