"""Shares of limits are lent between partitions, on a real Redis."""

import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from flower_engine.log.client import AsyncRedis, connect_blocking, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.flow_control_rows import put_control, read_controls
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime import lending
from flower_engine.runtime.adding_partitions import add_partitions
from flower_engine.runtime.flow_control_sync import try_to_bring_control
from flower_engine.runtime.lending import Lending, overdrawn
from flower_engine.runtime.loss_recovery import recover_lost
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.flow_control_transitions import read_held
from flower_engine.transitions.worker_transitions import Claim
from recovery.command import flower
from scripts.engine import Engine, task


class KilledError(Exception):
    """Stands for kill -9."""


@dataclass
class Engines:
    """Three partitions with the same limits."""

    client: AsyncRedis
    connection: Connection
    each: list[Engine]

    @property
    def partitions(self) -> list[Partition]:
        return [one.partition for one in self.each]

    async def limit(self, **settings: object) -> None:
        await put_control(self.connection, FlowControl(**settings))  # pyright: ignore[reportArgumentType]
        assert await try_to_bring_control(self.client, self.connection, self.partitions) is not None

    async def lending(self, turn: int = 0, here: list[Partition] | None = None) -> Lending:
        rows = (await read_controls(self.connection)).rows
        return Lending(self.client, here or self.partitions, len(self.each), rows, turn)

    async def lend(self, times: int = 1, turn: int = 0, here: list[Partition] | None = None) -> None:
        for _ in range(times):
            made = await self.lending(turn, here)
            if await made.is_due():
                await made.run()

    async def shares(self, name: str, place: int = 0) -> list[int]:
        held = [(await read_held(self.client, one)).limits[name] for one in self.partitions]
        return [int(text.split(" ")[place]) for text in held]

    async def is_overdrawn(self) -> list[str]:
        rows = (await read_controls(self.connection)).rows
        return await overdrawn(self.client, self.partitions, len(self.each), rows)


@pytest.fixture
async def engines(client: AsyncRedis, connection: Connection, redis_url: str) -> AsyncIterator[Engines]:
    await add_partitions(client, connection, 1)
    with connect_blocking(redis_url) as blocking:
        rows = await read_positions(connection)
        each = [Engine(client, blocking, Partition(row.partition, row.installation, "1")) for row in rows]
        for one in each:
            await one.attend("default")
        yield Engines(client, connection, each)


@pytest.mark.parametrize(
    ("scope", "name"), [("global", ""), ("queue", "default"), ("workflow", "etl"), ("program", "A")]
)
async def test_a_single_busy_partition_gets_nearly_all_and_hands_it_over_when_others_want_it(
    engines: Engines, scope: str, name: str
) -> None:
    await engines.limit(scope=scope, name=name, max_running=12)
    first, second, _ = engines.each
    await first.register_many(40, task(1))
    begun = await first.claim()
    assert len(begun) == 4
    await engines.lend(2)
    begun += await first.claim()
    assert len(begun) == 10, "all but one for each of the others"
    await second.register_many(40, task(1))
    others = await second.claim()
    await engines.lend()
    assert (len(others), await second.claim()) == (1, []), "what runs is not taken away"
    await first.finish(*begun)
    await engines.lend()
    others += await second.claim()
    assert len(others) in (5, 6)
    assert len(others) + len(await first.claim()) <= 12


async def test_a_limit_of_one_means_one_and_everybody_has_it_in_turn(engines: Engines) -> None:
    await engines.limit(scope="workflow", name="etl", max_running=1)
    for one in engines.each:
        await one.register_many(4, task(1))
    left, order = 12, list[int]()
    for turn in range(200):
        claims = [await one.claim() for one in engines.each]
        running = [number for number, own in enumerate(claims) for _ in own]
        assert len(running) <= 1
        for one, own in zip(engines.each, claims, strict=True):
            await one.finish(*own)
        order += running
        left -= len(running)
        if not left:
            break
        await engines.lend(turn=turn)
    assert sorted(order) == [0] * 4 + [1] * 4 + [2] * 4


async def test_flows_that_wait_for_places_are_let_in_by_lent_ones(engines: Engines) -> None:
    await engines.limit(scope="workflow", name="etl", max_flows=2)
    _, _, third = engines.each
    await third.register_many(5, task(1))
    assert await third.claim() == []
    await engines.lend(2)
    assert len(await third.claim()) == 2
    assert await engines.shares("f:etl") == [0, 0, 2]


async def test_rates_are_lent_and_what_has_started_counts_where_it_did(engines: Engines) -> None:
    await engines.limit(scope="program", name="A", rate=6, rate_period_seconds=3600.0)
    first, second, _ = engines.each
    await first.register_many(9, task(1))
    await first.finish(*(begun := await first.claim()))
    assert len(begun) == 2
    await second.register_many(9, task(1))
    begun += await second.claim()
    await engines.lend(4)
    begun += [*await first.claim(), *await second.claim()]
    await engines.lend(4)
    begun += [*await first.claim(), *await second.claim()]
    assert len(begun) in (5, 6), "one is kept for the third"
    assert await engines.is_overdrawn() == []


@pytest.mark.parametrize("point", ["lending.lowered", "lending.raised"])
async def test_whoever_is_killed_between_two_steps_leaves_no_more_than_the_limit(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    await engines.limit(scope="queue", name="default", max_running=9)
    await engines.each[1].register_many(40, task(1))

    def die(name: str) -> None:
        if name == point:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(lending, "crash_point", die)
        with pytest.raises(KilledError):
            await engines.lend()
    assert sum(await engines.shares("q:default")) <= 9
    await engines.lend(2)
    assert await engines.shares("q:default") == [1, 7, 1]


async def test_whoever_was_overtaken_raises_nothing(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engines.limit(scope="queue", name="default", max_running=9)
    first, second, _ = engines.each
    await first.register_many(40, task(1))
    stale = await engines.lending()
    assert await stale.is_due()
    ask = stale._ask  # pyright: ignore[reportPrivateUsage]

    async def overtaken(step: str, shares: object) -> object:
        if step == "raise":
            await first.claim()
            await second.register_many(40, task(1))
            await engines.lend(2)
        return await ask(step, shares)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(stale, "_ask", overtaken)
    await stale.run()
    assert sum(await engines.shares("q:default")) <= 9


async def test_what_a_partition_that_is_away_may_have_is_not_lent(engines: Engines) -> None:
    await engines.limit(scope="queue", name="default", max_running=9)
    first, second, third = engines.each
    await first.register_many(40, task(1))
    await engines.lend(2, here=[first.partition, second.partition])
    assert await engines.shares("q:default") == [5, 1, 3]
    await third.register_many(5, task(1))
    assert len(await third.claim()) == 3


async def test_a_recovered_partition_begins_with_nothing_and_is_lent_its_part(
    engines: Engines, settings: Settings
) -> None:
    await engines.limit(scope="queue", name="default", max_running=9)
    first, _, third = engines.each
    await first.register_many(40, task(1))
    await engines.lend(2)
    await send(engines.client, "HDEL", Keys(2).meta, "generation")
    (recovered,) = await recover_lost(engines.client, settings, lambda _what, _done, _total: None)
    third.partition = Partition(2, third.partition.installation, recovered.generation)
    assert await engines.shares("q:default") == [7, 1, 0]
    await first.finish(*await first.claim())
    await engines.lend(2)
    assert await engines.shares("q:default") == [7, 1, 1]


async def test_new_partitions_and_new_limits_keep_the_sum(engines: Engines) -> None:
    await engines.limit(scope="queue", name="default", max_running=9)
    await engines.each[0].register_many(40, task(1))
    await engines.lend(2)
    await add_partitions(engines.client, engines.connection, 1)
    fourth = await read_held(engines.client, Partition(3, "", ""))
    assert fourth.limits["q:default"] == "0 - - 0"
    assert await engines.shares("q:default") == [7, 1, 1]
    await engines.limit(scope="queue", name="default", max_running=5)
    assert sum(await engines.shares("q:default")) <= 5


async def test_verify_knows_lent_shares_and_finds_too_many(engines: Engines, settings: Settings) -> None:
    await engines.limit(scope="queue", name="default", max_running=9)
    await engines.each[0].register_many(40, task(1))
    await engines.lend(2)
    code, said = await flower(settings, "verify", words=9)
    assert "flow control: 0 differences" in said, (code, said)
    await send(engines.client, "HSET", Keys(1).limits, "q:default", "5 - - 0")
    _, said = await flower(settings, "verify", words=9)
    assert "flow control 'q:default' is 9, and the partitions' shares are [7, 5, 1]" in said


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_never_more_runs_than_may(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    most = dice.randint(1, 7)
    scope = dice.choice(["queue", "workflow", "program"])
    await engines.limit(
        scope=scope, name={"queue": "default", "workflow": "etl", "program": "A"}[scope], max_running=most
    )
    held: list[list[Claim]] = [[] for _ in engines.each]

    def die(name: str) -> None:
        if name.startswith("lending") and dice.random() < 0.2:
            raise KilledError

    monkeypatch.setattr(lending, "crash_point", die)
    for turn in range(60):
        number = dice.randrange(3)
        one, own = engines.each[number], held[number]
        match dice.randrange(5):
            case 0:
                await one.register_many(dice.randint(1, 6), task(1))
            case 1:
                own += await one.claim(dice.randint(1, 9))
            case 2 if own:
                await one.finish(own.pop(dice.randrange(len(own))))
            case _:
                here = dice.sample(engines.partitions, dice.choice([2, 3, 3]))
                with contextlib.suppress(KilledError):
                    await engines.lend(turn=turn, here=here)
        assert sum(map(len, held)) <= most
        assert await engines.is_overdrawn() == []
    for one in engines.each:
        await one.check()
