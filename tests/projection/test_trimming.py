"""Trimming keeps what is not archived, the entry at the position, and a tail."""

import pytest

from flower_engine.errors import LostError
from flower_engine.insight.backlog import Backlog, log_size_bytes, read_backlog, read_backlogs
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.installation_transitions import halt
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.worker_transitions import Outcome, Service, attend, finish_and_claim
from flower_projector.trimming import Trimmer
from projection.logs import append, entries_of, flows, tell
from projection.waiting import until


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def trimmer(client: AsyncRedis, partition: Partition, settings: Settings, clock: Hand) -> Trimmer:
    """A trimmer that keeps a tail of 200 events."""
    return Trimmer(client, partition, settings.model_copy(update={"log_tail_events": 200}), monotonic=clock)


async def archive_in_batches(trimmer: Trimmer, positions: list[str], size: int = 25) -> str:
    """Counts the positions as archived; returns the last one."""
    for first in range(0, len(positions), size):
        batch = positions[first : first + size]
        trimmer.archived(batch[-1], len(batch))
    return positions[-1]


async def test_it_keeps_the_unarchived_the_entry_at_the_position_and_the_tail(
    client: AsyncRedis, partition: Partition, trimmer: Trimmer
) -> None:
    await tell(client, partition, flows(200))
    before = [entry.position for entry in await entries_of(client, partition)]
    archived, unarchived = before[:1_000], before[1_000:]
    position = await archive_in_batches(trimmer, archived)
    await trimmer.run_once(position)
    after = [entry.position for entry in await entries_of(client, partition)]
    assert after[-len(unarchived) :] == unarchived
    assert after == before[-len(after) :]
    assert len(unarchived) + 200 <= len(after) < len(before)
    assert await read_log(client, partition, position, 1)  # the check at the position still holds


async def test_nothing_is_trimmed_before_a_tail_was_archived(
    client: AsyncRedis, partition: Partition, trimmer: Trimmer
) -> None:
    await tell(client, partition, flows(100))
    before = await entries_of(client, partition)
    position = await archive_in_batches(trimmer, [entry.position for entry in before[:199]])
    await trimmer.run_once(position)
    assert await entries_of(client, partition) == before


async def test_the_events_of_the_last_hours_are_kept_too(
    client: AsyncRedis, partition: Partition, settings: Settings, clock: Hand
) -> None:
    minute_ms = 60_000
    positions = [f"{10**13 + number * minute_ms}-0" for number in range(1_000)]
    pipeline = client.pipeline(transaction=False)
    for position in positions:
        pipeline.execute_command("XADD", partition.keys.log, position, "e", b"{}")  # pyright: ignore[reportUnknownMemberType]
    await pipeline.execute()
    for hours, fewest in ((10.0, 601), (5.0, 301), (0.0, 200)):
        kept = settings.model_copy(update={"log_tail_events": 200, "log_tail_hours": hours})
        trimmer = Trimmer(client, partition, kept, monotonic=clock)
        await trimmer.run_once(await archive_in_batches(trimmer, positions))
        left = await send(client, "XLEN", partition.keys.log)
        assert fewest <= left <= fewest + 200  # Redis drops whole nodes, of 100 entries


async def test_it_trims_about_once_a_second(
    client: AsyncRedis, partition: Partition, trimmer: Trimmer, clock: Hand
) -> None:
    await trimmer.run_once("0-1")
    await tell(client, partition, flows(200))
    before = await entries_of(client, partition)
    position = await archive_in_batches(trimmer, [entry.position for entry in before])
    await trimmer.run_once(position)
    assert await entries_of(client, partition) == before
    clock.seconds += 1
    await trimmer.run_once(position)
    assert len(await entries_of(client, partition)) < len(before)


async def test_a_long_log_is_trimmed_in_one_go(
    client: AsyncRedis, partition: Partition, trimmer: Trimmer
) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(45_000):
        pipeline.execute_command("XADD", partition.keys.log, f"{number + 10**13}-0", "e", b"{}")  # pyright: ignore[reportUnknownMemberType]
    await pipeline.execute()
    position = await archive_in_batches(trimmer, [f"{number + 10**13}-0" for number in range(45_000)], 5_000)
    await trimmer.run_once(position)
    assert await send(client, "XLEN", partition.keys.log) < 11_000


async def test_flows_that_ended_are_forgotten_once_their_end_is_archived(
    client: AsyncRedis, partition: Partition, settings: Settings, clock: Hand
) -> None:
    plan = FlowPlan(
        "one", plan_flow(WorkflowDefinition(name="one", tasks=(TaskDefinition(task_seq=1, program="A"),)))
    )
    flow = make_flow_id(1_790_000_000_000, 0, 1)
    await register(client, partition, [Start(flow, plan)])
    await attend(client, partition, ["default"])
    service = Service(("default",), ("A",)).args()
    got = await finish_and_claim(
        client, partition, "w", 1, answered=0, outcomes=[], wanted=1, service_args=service
    )
    outcome = Outcome(got.claims[0], OutcomeKind.FINISHED)
    await finish_and_claim(
        client, partition, "w", 2, answered=1, outcomes=[outcome], wanted=0, service_args=service
    )

    forgetful = settings.model_copy(update={"ended_keep_seconds": 0.0})
    trimmer = Trimmer(client, partition, forgetful, monotonic=clock)
    started, ended = [entry.position for entry in await entries_of(client, partition)][-2:]
    await trimmer.run_once(started)  # as far as is known, its end is not archived
    assert await send(client, "EXISTS", partition.keys.ended(flow)) == 1

    async def is_forgotten() -> bool:  # once Redis' clock shows the next millisecond
        clock.seconds += 1
        await trimmer.run_once(ended)
        return await send(client, "EXISTS", partition.keys.ended(flow)) == 0

    await until(is_forgotten)


async def test_a_halted_partition_is_not_trimmed(
    client: AsyncRedis, partition: Partition, trimmer: Trimmer
) -> None:
    await halt(client, partition, "for a test")
    position = await append(client, partition, b"{}")
    with pytest.raises(LostError):
        await trimmer.run_once(position)


async def test_a_log_that_takes_too_much_memory_loses_its_tail_but_nothing_else(
    client: AsyncRedis, partition: Partition, settings: Settings, clock: Hand
) -> None:
    bounds = {"log_tail_events": 100_000, "log_tail_hours": 24.0, "log_tail_mb": 1}
    trimmer = Trimmer(client, partition, settings.model_copy(update=bounds), monotonic=clock)
    await tell(client, partition, flows(1_200))
    before = [entry.position for entry in await entries_of(client, partition)]
    position = await archive_in_batches(trimmer, before[:3_000])
    assert await log_size_bytes(client, partition) > 1024 * 1024
    await trimmer.run_once(position)
    after = [entry.position for entry in await entries_of(client, partition)]
    assert len(before) - 3_000 <= len(after) < len(before) - 2_500
    assert position in after


async def test_it_notes_how_far_the_projection_is_behind(
    client: AsyncRedis, partition: Partition, settings: Settings, clock: Hand
) -> None:
    await tell(client, partition, flows(100))
    positions = [entry.position for entry in await entries_of(client, partition)]
    never = await read_backlog(client, partition)
    assert never.events == len(positions)
    for archived in (50, 300):
        trimmer = Trimmer(client, partition, settings, monotonic=clock)  # each of a projector that just began
        trimmer.archived(positions[archived - 1], 10)
        await trimmer.run_once(positions[archived - 1])
        clock.seconds += 10
        backlog = await read_backlog(client, partition)
        assert backlog.events == len(positions) - archived
        assert backlog.size_bytes > backlog.events * 50
    trimmer.archived(positions[-1], len(positions) - 300)
    await trimmer.run_once(positions[-1])
    assert await read_backlogs(client, [partition]) == [Backlog(0, 0)]
