"""The registrar: calls are gathered while one is in flight, and each caller hears of its own flows."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from flower_engine.errors import StoreUnavailableError
from flower_engine.flows import registrar as registrar_module
from flower_engine.flows.backlog_bound import Backlogs
from flower_engine.flows.registrar import Registrar, Wanted
from flower_engine.log.client import connect
from flower_engine.log.durability import Level
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.events.events import FlowRegistered, decode_event
from flower_engine.runtime.clock import ManualClock
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.register_transition import FlowPlan, Registered, Start, register

PLAN = FlowPlan(
    "w", plan_flow(WorkflowDefinition(name="w", tasks=(TaskDefinition(task_seq=1, program="A"),)))
)


class Calls:
    """The script calls that a registrar makes, each held up until the test lets it go on."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.in_flight = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fail_next: Exception | None = None

    async def register(
        self, client: Redis, partition: Partition, flows: Sequence[Start], level: Level
    ) -> list[Registered]:
        self.sizes.append(len(flows))
        self.in_flight.set()
        await self.go_on.wait()
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        words = await register(client, partition, flows, level)
        return (
            await register(client, partition, flows, level) and words
        )  # as if the first reply had been lost


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    seen = Calls()
    monkeypatch.setattr(registrar_module, "register", seen.register)
    return seen


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
async def partition(redis: Redis) -> Partition:
    meta = await install(redis, 0, "test-installation", 1)
    return Partition(0, meta.installation, meta.generation)


@pytest.fixture
def registrar(redis: Redis, partition: Partition, calls: Calls) -> Registrar:
    return Registrar(
        redis,
        [partition],
        ManualClock(1_700_000_000_000),
        Backlogs(redis, load_settings(redis_url="unix:///x")),
    )


async def _registered(redis: Redis, partition: Partition) -> list[str]:
    events = [decode_event(entry.raw) for entry in await read_log(redis, partition, None, 10_000)]
    return [event.flow for event in events if isinstance(event, FlowRegistered)]


async def test_a_lone_call_is_sent_at_once(registrar: Registrar, calls: Calls) -> None:
    await registrar.start(Wanted(PLAN))
    await registrar.start(Wanted(PLAN))
    assert calls.sizes == [1, 1]


async def test_a_flow_may_begin_where_partitions_do_not_stand_still(
    redis: Redis, partition: Partition, calls: Calls
) -> None:
    partitions = [partition, *(Partition(number, partition.installation, "") for number in (1, 2))]
    settings = load_settings(redis_url="unix:///x")
    registrar = Registrar(redis, partitions, ManualClock(1_700_000_000_000), Backlogs(redis, settings))
    registrar.retiring, registrar.missing = {1}, {2}
    assert registrar.partitions_for(Wanted(PLAN)) == [partition]
    registrar.missing = {0, 2}  # it is not given up for one that gets no flows
    assert registrar.partitions_for(Wanted(PLAN)) == [partition, partitions[2]]


async def test_calls_that_come_while_one_is_in_flight_go_together(
    registrar: Registrar, calls: Calls, redis: Redis, partition: Partition
) -> None:
    calls.go_on.clear()
    first = asyncio.create_task(registrar.start(Wanted(PLAN)))
    await calls.in_flight.wait()
    others = [asyncio.create_task(registrar.start(Wanted(PLAN))) for _ in range(40)]
    bulk = asyncio.create_task(registrar.start_many([Wanted(PLAN)] * 5))
    await asyncio.sleep(0)
    calls.go_on.set()
    flows = [await first, *await asyncio.gather(*others), *await bulk]
    assert calls.sizes == [1, 45]
    found = [flow.flow for flow in flows if isinstance(flow, Registered)]
    assert await _registered(redis, partition) == found
    assert len(found) == 46


async def test_a_call_that_is_sent_twice_registers_once(
    registrar: Registrar, redis: Redis, partition: Partition
) -> None:
    flow = (await registrar.start(Wanted(PLAN))).flow  # `Calls` sends everything twice
    assert await _registered(redis, partition) == [flow]


async def test_a_call_takes_a_bounded_number_of_flows(
    registrar: Registrar, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar_module, "TASKS_PER_CALL", 10)
    await asyncio.gather(
        *(registrar.start_many([Wanted(PLAN)] * 4) for _ in range(4)),
        registrar.start_many([Wanted(PLAN)] * 25),
    )
    assert calls.sizes == [8, 8, 10, 10, 5]


async def test_an_error_is_told_to_all_who_wait_and_to_nobody_later(
    registrar: Registrar, calls: Calls, redis: Redis, partition: Partition
) -> None:
    calls.fail_next = RedisConnectionError("gone")
    calls.go_on.clear()
    failing = asyncio.create_task(registrar.start(Wanted(PLAN)))
    await calls.in_flight.wait()
    waiting = asyncio.create_task(registrar.start(Wanted(PLAN)))
    await asyncio.sleep(0)
    calls.go_on.set()
    for call in (failing, waiting):
        with pytest.raises(RedisConnectionError, match="gone"):
            await call
    later = (await registrar.start(Wanted(PLAN))).flow
    assert await _registered(redis, partition) == [later]


async def test_a_caller_who_goes_away_leaves_the_others_alone(
    registrar: Registrar, calls: Calls, redis: Redis, partition: Partition
) -> None:
    calls.go_on.clear()
    leaving, staying = (asyncio.create_task(registrar.start(Wanted(PLAN))) for _ in range(2))
    await calls.in_flight.wait()
    leaving.cancel()
    await asyncio.sleep(0)
    calls.go_on.set()
    assert (await staying).flow in await _registered(redis, partition)


async def test_redis_that_does_not_answer_is_not_waited_for_for_ever(
    registrar: Registrar, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar_module, "DEADLINE_SECONDS", 0.01)
    calls.go_on.clear()
    with pytest.raises(StoreUnavailableError, match="Redis cannot be used now: no answer"):
        await registrar.start(Wanted(PLAN))


async def test_callers_are_sent_away_when_too_many_wait(
    registrar: Registrar, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar_module, "MOST_WAITING_TASKS", 5)
    calls.go_on.clear()
    waiting = [asyncio.create_task(registrar.start_many([Wanted(PLAN)] * 3))]
    await calls.in_flight.wait()
    waiting += (asyncio.create_task(registrar.start_many([Wanted(PLAN)] * 3)) for _ in range(2))
    await asyncio.sleep(0)
    (outcome,) = await registrar.start_many([Wanted(PLAN)])
    assert isinstance(outcome, StoreUnavailableError)
    assert "6 tasks wait" in str(outcome)
    calls.go_on.set()
    await asyncio.gather(*waiting)
