"""Tasks that wait for the world await on after a recovery, and what came before it counts once."""

from typing import Any

import pytest

from flower_engine.log.client import send
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.operator_transitions import answer, pause, resume
from flower_engine.transitions.wait_transitions import Sent, signal
from recovery.both import Both
from scripts.engine import task

YES = b'{"approved":true}'


def event(seq: int, *depends_on: int, **parameters: Any) -> Any:
    return task(seq, *depends_on, program="@event", parameters={"name": "paid", **parameters})


async def waiting(both: Both) -> str:
    """A flow that awaits one of each kind, keeps a signal, and has one answer of two."""
    engine = both.engine
    where = (engine.client, engine.partition)
    flow = await engine.register(
        task(1, program="@sleep", parameters={"seconds": 3600}),
        event(2, key="7", timeout_seconds=3600),
        task(3, program="@approval", parameters={"of": 2}),
        task(4),
        event(5, 4, type={"type": "integer"}),
        event(6),
        task(7, 1, 2, 3, 5, 6),
    )
    for number, key in ((1, "9"), (2, "8"), (3, "8")):  # the first is taken by task 6
        sent = Sent(name="paid", key=key, id=f"order {number}", by="shop", payload=b"%d" % number)
        await signal(*where, sent, [flow])
    await answer(*where, flow, by="ann", task=3, answer=YES)
    return flow


@pytest.mark.parametrize("is_paused", [False, True])
async def test_what_is_awaited_is_awaited_until_the_same_moment(both: Both, is_paused: bool) -> None:
    flow = await waiting(both)
    if is_paused:
        await pause(both.client, both.engine.partition, flow, by="eve")
    await both.project()
    before = await both.engine.flow(flow)
    timers: list[Any] = await send(both.client, "ZRANGE", both.engine.keys.timers, 0, -1, "WITHSCORES")
    await both.wipe()
    await both.recover()
    await both.check()
    where = (both.client, both.engine.partition)
    held: list[Any] = await send(both.client, "ZRANGE", both.engine.keys.timers, 0, -1, "WITHSCORES")
    assert held[::2] == timers[::2]
    sleep = before.task(1).awaiting
    assert sleep is not None
    assert await send(both.client, "ZSCORE", both.engine.keys.timers, f"s:{flow}:1") == sleep.until_ms
    for identity, word in (("order 1", "known"), ("order 3", "known"), ("order 4", "taken")):
        sent = Sent(name="paid", key="7", id=identity, by="shop", payload=b"4")
        (done,) = await signal(*where, sent, [flow])
        assert done.word == word
    assert (await answer(*where, flow, by="bob", task=3, answer=YES)).tasks == (3,)
    if is_paused:
        await resume(*where, flow, by="eve")
    await both.engine.finish(*await both.engine.claim())
    state = (await both.check())[flow]
    assert [state.task(seq).status for seq in (1, 2, 3, 5, 6)] == [Status.WAIT, *[Status.FINISH] * 4]
    assert (state.task(5).result, list(state.signals)) == (b"2", ["order 3"])


async def test_a_wait_that_only_the_lost_log_had_begins_anew(both: Both) -> None:
    """What was archived of the flow says that it is ready: it awaits in the recovery itself."""
    flow = await both.engine.register(event(1), task(2, 1), delay_ms=20)
    await both.project()
    await both.engine.bring_due()
    await both.wipe()
    await both.recover()
    await both.engine.bring_due()
    await both.check()
    sent = Sent(name="paid", id="1", by="shop")
    (done,) = await signal(both.client, both.engine.partition, sent, [flow])
    assert done.word == "taken"
    await both.check()
