"""A worker proves that Redis went back in time: it was answered later than Redis remembers."""

import pytest

from flower_engine.errors import LostError
from flower_engine.log.client import send
from flower_engine.log.partition import read_meta
from flower_engine.transitions.watcher_transitions import trim
from flower_engine.transitions.worker_transitions import leave
from scripts.engine import Engine, task

pytestmark = pytest.mark.leaves_damage

Copied = dict[bytes, bytes]


async def _copy(engine: Engine) -> Copied:
    keys: list[bytes] = await send(engine.client, "KEYS", "*")
    return {key: await send(engine.client, "DUMP", key) for key in keys}


async def _go_back(engine: Engine, copied: Copied) -> None:
    """As a replica that was behind and was promoted."""
    await send(engine.client, "FLUSHALL")
    for key, value in copied.items():
        await send(engine.client, "RESTORE", key, 0, value)


async def _why(engine: Engine) -> tuple[str, int | None]:
    meta = await read_meta(engine.client, 0)
    assert meta is not None
    return meta.halted_why, meta.rewound


async def test_an_outcome_of_a_worker_that_was_answered_since_halts_the_partition(engine: Engine) -> None:
    await engine.register(task(1))
    (kept,) = await engine.claim()
    copied = await _copy(engine)
    await engine.register_many(2, task(1))
    lost = await engine.claim()
    await _go_back(engine, copied)
    events = await engine.raw_events()
    with pytest.raises(LostError):
        await engine.finish(kept, *lost)
    assert await engine.raw_events() == events, "nothing counts of a call that proves it"
    assert await _why(engine) == (
        "Redis went back in time: it had answered call 2 of worker w1, and knows of none after 1",
        2,
    )


async def test_other_calls_have_come_in_between_and_it_is_noticed_all_the_same(engine: Engine) -> None:
    """So the lease of the lost claim is no longer beyond all that the stream of work has given out."""
    await engine.exchange(wanted=1)
    copied = await _copy(engine)
    await engine.register(task(1))
    (lost,) = await engine.claim()
    await _go_back(engine, copied)
    await engine.register_many(3, task(1))
    assert len(await engine.claim(worker="new")) == 3
    with pytest.raises(LostError):
        await engine.finish(lost)
    assert (await _why(engine))[1] == 1


async def test_a_call_without_outcomes_proves_it_too(engine: Engine) -> None:
    await engine.exchange(wanted=1)
    copied = await _copy(engine)
    await engine.exchange(wanted=1)
    await _go_back(engine, copied)
    with pytest.raises(LostError):
        await engine.exchange(wanted=1)
    assert (await _why(engine))[1] == 0


async def test_a_heartbeat_proves_it_where_a_worker_has_no_reason_for_a_call(engine: Engine) -> None:
    await engine.exchange(wanted=1)
    copied = await _copy(engine)
    await engine.register(task(1))
    (lost,) = await engine.claim()
    engine.heartbeat("w1", lost)
    await _go_back(engine, copied)
    with pytest.raises(LostError):
        engine.heartbeat("w1", lost)
    why, unknown = await _why(engine)
    assert "call 2 of worker w1, and knows of none after 1" in why
    assert unknown == 0


async def test_a_worker_that_redis_does_not_know_proves_it_by_a_lease_of_the_future(engine: Engine) -> None:
    copied = await _copy(engine)
    await engine.register(task(1))
    (lost,) = await engine.claim(worker="young")
    await _go_back(engine, copied)
    with pytest.raises(LostError):
        await engine.finish(lost, worker="young")
    assert f"worker young holds lease {lost.lease.decode()}" in (await _why(engine))[0]


async def test_outcomes_of_others_that_come_for_unknown_flows_are_counted(engine: Engine) -> None:
    await engine.exchange("w1", wanted=1)
    await engine.exchange("w2", wanted=1)
    copied = await _copy(engine)
    await engine.register_many(3, task(1))
    first = await engine.claim(1, worker="w1")
    others = await engine.claim(2, worker="w2")
    await _go_back(engine, copied)
    for worker, claims in (("w1", first), ("w2", others)):
        with pytest.raises(LostError):
            await engine.finish(*claims, worker=worker)
    assert (await _why(engine))[1] == 3


async def test_a_reply_that_never_arrived_proves_nothing(engine: Engine) -> None:
    await engine.exchange(wanted=1)
    copied = await _copy(engine)
    await engine.call("w1", 2, wanted=1)
    engine.answered["w1"] = 1  # its reply was lost together with the server
    await _go_back(engine, copied)
    await engine.call("w1", 2, wanted=1)
    assert (await _why(engine)) == ("", None)


async def test_what_is_forgotten_or_unknown_for_good_reasons_proves_nothing(engine: Engine) -> None:
    """A flow that ended and was forgotten, a worker that was given up and comes back."""
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    await engine.finish(claim)
    behind_all = f"{2**50}-0"
    while await send(engine.client, "EXISTS", engine.keys.ended(flow)):  # not within the same millisecond
        await trim(
            engine.client,
            engine.partition,
            keep_from="0-1",
            archived=behind_all,
            ended_keep_ms=0,
            projected=0,
        )
    assert await engine.finish(claim) == ["absent"]
    await engine.register(task(1))
    (held,) = await engine.claim()
    await engine.tick()
    await engine.lose(held)
    await engine.lapse()
    await leave(engine.client, engine.partition, "w1", ["default"])
    assert await engine.finish(held) == ["stale"]
    engine.heartbeat("w1", held)
    assert (await _why(engine)) == ("", None)
