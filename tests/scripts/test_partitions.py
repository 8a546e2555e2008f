"""Partitions share a server and nothing else."""

from flower_engine.log.partition import Partition
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.installation_transitions import halt, install
from scripts.engine import Engine, chain, task


async def beside(engine: Engine) -> Engine:
    """Another partition on the same server."""
    meta = await install(engine.client, 1, "test-installation", 2)
    other = Engine(engine.client, engine.blocking, Partition(1, meta.installation, meta.generation))
    await other.attend("default")
    return other


async def test_each_partition_gives_out_its_own_tasks(engine: Engine) -> None:
    other = await beside(engine)
    here, there = await engine.register(*chain(3)), await other.register(*chain(2))
    assert {claim.flow for claim in await engine.work_off("w1")} == {here}
    assert list(await engine.flows()) == [here]
    assert (await other.flow(there)).status is Status.WAIT
    assert {claim.flow for claim in await other.work_off("w1")} == {there}


async def test_a_workers_call_numbers_are_counted_for_each_partition(engine: Engine) -> None:
    other = await beside(engine)
    await engine.register(task(1))
    await other.register(task(1))
    one = await engine.call("w1", 1, wanted=1)
    two = await other.call("w1", 1, wanted=1)
    assert one.claims[0].flow != two.claims[0].flow
    assert await engine.finish(*one.claims) == ["ok"]
    assert await other.finish(*two.claims) == ["ok"]


async def test_a_halted_partition_leaves_the_others_alone(engine: Engine) -> None:
    other = await beside(engine)
    await halt(engine.client, other.partition, "why")
    await engine.register(task(1))
    await engine.work_off()
