"""Pinned workflows: what is limited for each key, or refused beyond a limit, holds exactly."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from flower_engine.errors import RefusedError
from flower_engine.flows.backlog_bound import Backlogs
from flower_engine.flows.registrar import Registrar, Wanted
from flower_engine.log.client import AsyncRedis, connect_blocking
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import Keying, WorkflowDefinition, plan_flow
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.values.ids import partition_of
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_rows import encode_workflow, put_workflow, read_workflow
from flower_engine.projection.definitions.flow_control_rows import (
    put_control,
    read_controls,
    read_version,
)
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.adding_partitions import add_partitions
from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.flow_control_sync import control_differences, try_to_bring_control
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.register_transition import FlowPlan, Registered
from scripts.engine import Engine, task


@dataclass
class Engines:
    """Two partitions as at first, and two that were added."""

    client: AsyncRedis
    connection: Connection
    settings: Settings
    each: list[Engine]

    @property
    def partitions(self) -> list[Partition]:
        return [one.partition for one in self.each]

    async def pin(self, pin: str | None) -> None:
        """As SQL does it, or a definition."""
        await self.connection.execute("DELETE FROM ms_workflow")
        await self.connection.execute("INSERT INTO ms_workflow (task_id, pin) VALUES ('etl', %s)", [pin])

    async def limit(self, **settings: Any) -> None:
        await put_control(self.connection, FlowControl(scope="workflow", name="etl", **settings))
        assert await try_to_bring_control(self.client, self.connection, self.partitions) is not None

    def registrar(self, first: int | None = None) -> Registrar:
        partitions = self.partitions[:first]
        return Registrar(self.client, partitions, SYSTEM_CLOCK, Backlogs(self.client, self.settings))


def plan(pin: str | None, *values: str) -> FlowPlan:
    keying = Keying(limit_by="customer")
    tasks = tuple(
        task(seq, parameters={"customer": value}) for seq, value in enumerate(values or ("a",), start=1)
    )
    planned = plan_flow(WorkflowDefinition(name="etl", tasks=tasks, keying=keying))
    return FlowPlan("etl", planned, keying=keying, pin=pin)


def places(registered: list[Registered | BaseException]) -> set[int]:
    return {partition_of(one.flow) for one in registered if isinstance(one, Registered)}


@pytest.fixture
async def engines(
    client: AsyncRedis, connection: Connection, settings: Settings, redis_url: str
) -> AsyncIterator[Engines]:
    await add_partitions(client, connection, 2)
    with connect_blocking(redis_url) as blocking:
        rows = await read_positions(connection)
        each = [
            Engine(client, blocking, Partition(row.partition, row.installation, "1", row.partitions))
            for row in rows
        ]
        for one in each:
            await one.attend("default")
        yield Engines(client, connection, settings, each)


async def test_flows_of_a_pinned_workflow_lie_in_one_partition_however_many_there_are(
    engines: Engines,
) -> None:
    spread = await engines.registrar().start_many([Wanted(plan(None))] * 12)
    assert places(spread) == {0, 1, 2, 3}
    before = await engines.registrar(2).start_many([Wanted(plan("workflow"))] * 6)
    after = await engines.registrar().start_many([Wanted(plan("workflow"), key="a-key")] * 6)
    (place,) = places(before) | places(after)
    assert place in (0, 1)


async def test_flows_with_the_same_key_lie_together_and_others_elsewhere(engines: Engines) -> None:
    registrar = engines.registrar()
    found: dict[str, set[int]] = {}
    for value in "abcdefgh":
        found[value] = places(await registrar.start_many([Wanted(plan("key", value, value))] * 3))
    assert all(len(one) == 1 for one in found.values())
    assert {place for one in found.values() for place in one} == {0, 1}


async def test_a_flow_whose_tasks_have_several_keys_is_refused_with_them(engines: Engines) -> None:
    registrar = engines.registrar()
    with pytest.raises(RefusedError, match=r"pinned by key \(limit_by 'customer'\).*several: a, b"):
        await registrar.start(Wanted(plan("key", "a", "b")))
    good, bad = await registrar.start_many([Wanted(plan("key", "a")), Wanted(plan("key", "a", "b"))])
    assert isinstance(good, Registered)
    assert isinstance(bad, RefusedError)


@pytest.mark.parametrize("choice", ["reject", "skip", "cancel_oldest"])
async def test_a_limit_of_one_flow_means_one(engines: Engines, choice: str) -> None:
    await engines.pin("workflow")
    await engines.limit(max_flows=1, at_max_flows=choice)
    registered = await engines.registrar().start_many([Wanted(plan("workflow"))] * 4)
    words = [one.word for one in registered if isinstance(one, Registered)]
    begun = [claim for one in engines.each for claim in await one.claim(9)]
    assert len({claim.flow for claim in begun}) == 1
    assert (
        words
        == {
            "reject": ["ok", "full", "full", "full"],
            "skip": ["ok", "skipped", "skipped", "skipped"],
            "cancel_oldest": ["ok", "ok", "ok", "ok"],
        }[choice]
    )


async def test_a_limit_of_one_for_each_key_means_one(engines: Engines) -> None:
    await engines.pin("key")
    await engines.limit(limit_by="customer", max_per_key=1)
    registrar = engines.registrar()
    for value in "abcd":
        await registrar.start_many([Wanted(plan("key", value))] * 3)
    begun = [claim for one in engines.each for claim in await one.claim(20)]
    assert len(begun) == 4, "one of each"


async def test_without_a_pin_each_partition_has_its_part(engines: Engines) -> None:
    await engines.limit(limit_by="customer", max_per_key=8, max_flows=8, at_max_flows="reject")
    await engines.registrar().start_many([Wanted(plan(None))] * 12)
    begun = [await one.claim(20) for one in engines.each]
    assert [len(one) for one in begun] == [2, 2, 2, 2]


async def test_a_pin_that_is_changed_changes_what_holds(engines: Engines) -> None:
    await engines.limit(limit_by="customer", max_per_key=8)
    versions = [await read_version(engines.connection)]
    for pin in ("key", "workflow", None):
        await engines.pin(pin)
        versions.append(await read_version(engines.connection))
        assert (await read_controls(engines.connection)).pins == ({"etl": pin} if pin else {})
        await try_to_bring_control(engines.client, engines.connection, engines.partitions)
        for one in engines.partitions:
            assert await control_differences(engines.client, engines.connection, one, 4) == []
    assert len(set(versions)) == 4


async def test_a_definition_keeps_its_pin(engines: Engines) -> None:
    for pin in ("workflow", "key", None):
        definition = WorkflowDefinition(name="etl", tasks=(task(1),), pin=pin)
        await put_workflow(engines.connection, await encode_workflow(definition), "alice")
        found = await read_workflow(engines.connection, "etl")
        assert found is not None
        assert found.pin == pin
