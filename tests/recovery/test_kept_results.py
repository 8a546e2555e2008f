"""Results that tasks to come read are there again after a recovery, and a verification compares them."""

from typing import Any

from flower_engine.log.client import send
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.verify_redis import check_redis
from flower_engine.transitions.operator_transitions import ignore
from flower_engine.transitions.worker_transitions import Outcome
from recovery.both import Both
from scripts.engine import task

BLOB = b'{"sha256":"ab","bytes":70000,"store":"api"}'


def reader(seq: int, *others: int, **parameters: Any) -> TaskDefinition:
    """A task that reads others."""
    given = {f"p{other}": {"$from": other} for other in others}
    return task(seq, *others, parameters={**given, **parameters})


async def pipe(both: Both) -> str:
    """A flow whose last task reads a result, one in a blob and one that an operator gave."""
    engine = both.engine
    flow = await engine.register(task(1), task(2), task(3), reader(4, 1, 2, 3), reader(5, 4))
    await ignore(engine.client, engine.partition, flow, by="alice", tasks=[3], result=b'{"n": 1.50}')
    first, second = await engine.claim()
    outcomes = [
        Outcome(first, OutcomeKind.FINISHED, b'{"b": 1, "a": [1.0, "\\u00e4"]}'),
        Outcome(second, OutcomeKind.STORED, BLOB),
    ]
    await engine.exchange(outcomes=outcomes)
    return flow


async def told(both: Both) -> list[str]:
    """What a verification finds."""
    (row,) = await read_positions(both.connection)
    checked = await check_redis(both.client, both.connection, row, lambda _what, _done, _total: None)
    return checked.differences


async def test_a_recovery_brings_back_what_is_still_to_be_read(both: Both) -> None:
    flow = await pipe(both)
    before = (await both.engine.exchange(wanted=1)).results
    await both.project()
    await both.wipe()
    await both.recover()
    await both.check()
    assert await told(both) == []
    got = await both.engine.exchange("w2", wanted=1)
    assert [claim.task for claim in got.claims] == [4]
    assert list(got.results) == [(flow, 1), (flow, 2), (flow, 3)] == list(before)
    assert got.results[flow, 2] == b"@" + BLOB
    outcomes = [Outcome(claim, OutcomeKind.FINISHED) for claim in got.claims]
    got = await both.engine.exchange("w2", outcomes=outcomes, wanted=1)
    assert got.results == {(flow, 4): b"=null"}
    await both.engine.finish(*got.claims, worker="w2")
    await both.check()
    assert await send(both.client, "HGET", both.engine.keys.meta, "kept") == b"0"


async def test_a_verification_tells_a_kept_result_that_is_another(both: Both) -> None:
    flow = await pipe(both)
    await both.project()
    assert await told(both) == []
    key = both.engine.keys.flow(flow)
    payload: bytes = await send(both.client, "HGET", key, "r1")
    await send(both.client, "HSET", key, "r1", payload.replace(b"1.0", b"1.1"))
    assert await told(both) == [
        f"flow {flow} task 1: the result that is kept is not the one that its events have"
    ]
    await send(both.client, "HDEL", key, "r1")
    (gone, counted) = await told(both)
    assert gone == f"flow {flow} task 1: of its result is kept '', its events say '='"
    assert "bytes of its result are counted" in counted
    await send(both.client, "HSET", key, "r1", payload)
    await send(both.client, "HINCRBY", both.engine.keys.meta, "kept", 7)
    (total,) = await told(both)
    assert "the partition counts" in total
