"""Loops go on after a loss of Redis: in their round, with what was given, at the time that was set.

(After a loss of Postgres: ``test_bridging.py``.)
"""

import json

from flower_engine.log.client import send
from flower_engine.model.tasks.task_spec import RetryPolicy
from recovery.both import Both
from scripts.engine import task

RETRY = RetryPolicy(max_attempts=3, delay_ms=0)


async def looping(both: Both) -> str:
    """A flow with a task in each place that a loop knows: between rounds, ready in one, retried in one."""
    engine = both.engine
    flow = await engine.register(
        task(1, parameters={"cursor": 0}), task(2), task(3, retry=RETRY), task(4, 1, 2, 3)
    )
    one, two, three = sorted(await engine.claim(), key=lambda claim: claim.task)
    await engine.again(one, given=b'{"cursor":1}', after_ms=700)
    await engine.again(two, given=b'{"page":[2]}')
    await engine.again(three)
    for claim in await engine.claim():
        await (engine.give_back(claim) if claim.task == 2 else engine.fail(claim))
    return flow


async def goes_on(both: Both, flow: str) -> None:
    engine = both.engine
    state = (await both.check())[flow]
    assert [(state.task(seq).round, state.task(seq).failures) for seq in (1, 2, 3)] == [
        (1, 0),
        (1, 0),
        (1, 1),
    ]
    assert state.rounds == 3
    await engine.bring_due()
    claims = {claim.task: json.loads(claim.message) for claim in await engine.claim(worker="w7")}
    assert {seq: (said["round"], said["given"]) for seq, said in claims.items()} == {
        1: (1, {"cursor": 1}),
        2: (1, {"page": [2]}),
        3: (1, {}),
    }


async def test_loops_go_on_in_their_round_after_redis_was_lost(both: Both) -> None:
    flow = await looping(both)
    await both.project()
    before = (await both.engine.flow(flow)).task(1)
    await both.wipe()
    await both.recover()
    after = (await both.check())[flow].task(1)
    assert (after.again_ms, after.round, json.loads(after.given or b"")) == (
        before.again_ms,
        1,
        {"cursor": 1},
    )
    timer = await send(both.client, "ZSCORE", both.engine.keys.timers, f"r:{flow}:1")
    assert int(timer) == before.again_ms
    await goes_on(both, flow)
    await both.check()
