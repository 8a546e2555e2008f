"""Tasks that wait for the world: they need no worker, and end when what they await has come."""

import asyncio
from typing import Any

import msgspec
import pytest

from flower_engine.errors import RefusedError
from flower_engine.log.client import send
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.events.events import TaskOverdue
from flower_engine.model.events.wait_events import TaskAnswered, TaskAwaiting
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_programs import MOST_SIGNALS
from flower_engine.transitions.operator_transitions import (
    Operated,
    answer,
    cancel,
    ignore,
    pause,
    rerun,
    resume,
)
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.wait_transitions import Sent, Signalled, signal
from scripts.engine import Engine, task

APPROVED = b'{"approved":true}'
DENIED = b'{"approved":false}'


def sleep(seq: int, *depends_on: int, seconds: float = 3600.0) -> TaskDefinition:
    return task(seq, *depends_on, program="@sleep", parameters={"seconds": seconds})


def event(seq: int, *depends_on: int, name: str = "paid", **more: object) -> TaskDefinition:
    return task(seq, *depends_on, program="@event", parameters={"name": name, **more})


def approval(seq: int, *depends_on: int, **more: object) -> TaskDefinition:
    return task(seq, *depends_on, program="@approval", parameters={**more})


async def send_signal(
    engine: Engine, flow: str, identity: str = "1", name: str = "paid", key: str = ""
) -> Signalled:
    sent = Sent(name=name, id=identity, by="shop", key=key, payload=b"7")
    (done,) = await signal(engine.client, engine.partition, sent, [flow])
    return done


async def test_a_sleep_is_over_by_itself_and_what_is_behind_it_goes_on(engine: Engine) -> None:
    flow = await engine.register(sleep(1, seconds=0.001), task(2, 1))
    assert (await engine.flow(flow)).task(1).is_awaiting
    assert await engine.claim() == []
    await asyncio.sleep(0.005)
    fired = await engine.fire()
    assert fired.fired == [("sleep", flow, 1)]
    (claim,) = await engine.claim()
    assert claim.task == 2
    await engine.finish(claim)
    assert (await engine.flow(flow)).status is Status.FINISH
    await engine.check()


async def test_a_signal_before_its_wait_is_not_lost(engine: Engine) -> None:
    flow = await engine.register(task(1), event(2, 1), task(3, 2))
    assert (await send_signal(engine, flow)).word == "kept"
    assert (await send_signal(engine, flow)).word == "known"
    await engine.finish(*await engine.claim())
    state = await engine.flow(flow)
    assert state.task(2).result == b"7"
    assert not state.signals
    assert [type(one) for one in await engine.events()][-2:] == [TaskAwaiting, TaskAnswered]
    assert (await send_signal(engine, flow)).word == "known"
    await engine.check()


async def test_a_signal_during_the_wait_ends_it_once(engine: Engine) -> None:
    flow = await engine.register(event(1, name="a b:ö/", key="k 1"), event(2, name="a b:ö/"), task(3, 1, 2))
    done = await send_signal(engine, flow, "1", "a b:ö/", "k 1")
    assert (done.word, done.task) == ("taken", 1)
    assert (await send_signal(engine, flow, "1", "a b:ö/", "k 1")).word == "known"
    done = await send_signal(engine, flow, "2", "a b:ö/", "k 2")
    assert (done.word, done.task) == ("taken", 2)
    assert (await send_signal(engine, flow, "3", "a b:ö/", "k 1")).word == "kept"
    await engine.work_off()
    assert (await engine.flow(flow)).ended_ms is not None
    assert (await send_signal(engine, flow, "4")).word == "absent"
    await engine.check()


async def give_answer(engine: Engine, flow: str, seq: int, by: str, **more: Any) -> Operated:
    given: dict[str, Any] = {"answer": APPROVED, **more}
    return await answer(engine.client, engine.partition, flow, by=by, task=seq, **given)


async def test_an_approval_is_answered_once(engine: Engine) -> None:
    flow = await engine.register(approval(1), task(2, 1))
    done = await give_answer(engine, flow, 1, "ann", operation="one")
    assert done.tasks == (1,)
    assert (await give_answer(engine, flow, 1, "ann", operation="one")).version == done.version
    with pytest.raises(RefusedError, match="answered already"):
        await give_answer(engine, flow, 1, "bob")
    result = msgspec.json.decode((await engine.flow(flow)).task(1).result or b"")
    assert (result["answer"], result["by"]) == ({"approved": True}, ["ann"])
    await engine.work_off()
    await engine.check()


async def test_of_several_names_each_counts_once(engine: Engine) -> None:
    flow = await engine.register(approval(1, of=2), task(2, 1))
    assert (await give_answer(engine, flow, 1, 'a","b')).tasks == ()
    await engine.check()
    with pytest.raises(RefusedError, match="of this name"):
        await give_answer(engine, flow, 1, 'a","b')
    assert (await engine.flow(flow)).task(1).votes == ('a","b',)
    assert (await give_answer(engine, flow, 1, "b")).tasks == (1,)
    result = msgspec.json.decode((await engine.flow(flow)).task(1).result or b"")
    assert result["by"] == ['a","b', "b"]
    await engine.check()


async def test_one_that_says_no_ends_it_whoever_else_is_asked(engine: Engine) -> None:
    flow = await engine.register(approval(1, of=3), task(2, 1))
    await give_answer(engine, flow, 1, "ann")
    assert (await give_answer(engine, flow, 1, "bob", answer=DENIED, is_no=True)).tasks == (1,)
    result = msgspec.json.decode((await engine.flow(flow)).task(1).result or b"")
    assert (result["answer"], result["by"]) == ({"approved": False}, ["ann", "bob"])
    await engine.check()


async def test_parallel_approvals_are_not_bypassed_by_the_answer_to_one(engine: Engine) -> None:
    flow = await engine.register(approval(1), approval(2), task(3, 1, 2))
    await give_answer(engine, flow, 1, "ann")
    assert await engine.claim() == []
    assert (await engine.flow(flow)).task(2).is_awaiting
    await give_answer(engine, flow, 2, "ann")
    assert [claim.task for claim in await engine.claim()] == [3]
    await engine.check()


async def test_an_answer_to_an_earlier_asking_is_refused(engine: Engine) -> None:
    flow = await engine.register(approval(1), task(2, 1))
    await rerun(engine.client, engine.partition, flow, by="eve", selection=[1])
    with pytest.raises(RefusedError, match="asked anew"):
        await give_answer(engine, flow, 1, "ann", attempt=1)
    await give_answer(engine, flow, 1, "ann", attempt=2)
    for seq, why in ((2, "no approval"), (3, "no task 3")):
        with pytest.raises(RefusedError, match=why):
            await give_answer(engine, flow, seq, "ann")
    await engine.check()


async def test_an_approval_whose_timeout_does_not_run_before_it_is_asked(engine: Engine) -> None:
    """The time begins when it awaits, not when its flow is registered."""
    limits = {"timeout_seconds": 60, "on_timeout": "default", "default": {"approved": False}}
    flow = await engine.register(task(1), approval(2, 1, **limits), task(3, 2))
    assert (await engine.bring_due()).fired == []
    await engine.finish(*await engine.claim())
    state = await engine.flow(flow)
    awaiting = state.task(2).awaiting
    assert awaiting is not None
    assert awaiting.until_ms == awaiting.at + 60_000
    await engine.check()
    assert (await engine.bring_due()).fired == [("wait-timeout", flow, 2)]
    (answered,) = [one for one in await engine.events() if isinstance(one, TaskAnswered)]
    assert answered.by == "timeout"
    assert msgspec.json.decode(answered.result)["answer"] == {"approved": False}
    assert [claim.task for claim in await engine.claim()] == [3]
    await engine.check()


async def test_what_does_not_come_in_time_is_suspended_and_may_be_asked_anew(engine: Engine) -> None:
    flow = await engine.register(event(1, timeout_seconds=60), approval(2, timeout_seconds=60), task(3, 1, 2))
    fired = (await engine.bring_due()).fired
    assert sorted(fired) == [("wait-timeout", flow, 1), ("wait-timeout", flow, 2)]
    overdue = [one for one in await engine.events() if isinstance(one, TaskOverdue)]
    assert {one.error.message for one in overdue} == {
        "no signal came within 60 s",
        "nobody answered within 60 s",
    }
    await engine.check()
    assert (await send_signal(engine, flow)).word == "kept"
    await rerun(engine.client, engine.partition, flow, by="eve", selection="failed")
    assert (await engine.flow(flow)).task(1).status is Status.FINISH
    await give_answer(engine, flow, 2, "ann")
    await engine.work_off()
    await engine.check()


async def test_a_default_of_an_event_is_the_value_as_it_was_written(engine: Engine) -> None:
    value: dict[str, Any] = {"empty": [], "big": 12345678901234567890, "text": "two  spaces =\n"}
    flow = await engine.register(event(1, timeout_seconds=60, on_timeout="default", default=value))
    await engine.bring_due()
    state = await engine.flow(flow)
    assert msgspec.json.decode(state.task(1).result or b"") == value
    assert state.ended_ms is not None
    await engine.check()


async def test_answers_and_signals_count_in_a_pause_and_nothing_starts(engine: Engine) -> None:
    where = (engine.client, engine.partition)
    flow = await engine.register(event(1), task(2, 1), task(3), event(4, 3))
    await pause(*where, flow, by="eve")
    assert (await send_signal(engine, flow)).word == "taken"
    assert (await send_signal(engine, flow, "2")).word == "kept"
    assert await engine.claim() == []
    await engine.check()
    await resume(*where, flow, by="eve")
    await engine.finish(*await engine.claim())
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


async def test_a_flow_that_is_held_begins_to_wait_when_it_begins(engine: Engine) -> None:
    flow = await engine.register(sleep(1, seconds=60), delay_ms=20)
    assert (await engine.flow(flow)).task(1).awaiting is None
    await engine.check()
    await engine.bring_due()
    assert (await engine.flow(flow)).task(1).is_awaiting
    await engine.check()


async def test_who_waits_for_the_world_keeps_the_place_of_its_flow(engine: Engine) -> None:
    await engine.control(FlowControl(scope="workflow", name="etl", max_flows=1))
    first = await engine.register(event(1))
    second = await engine.register(event(1))
    assert (await send_signal(engine, second)).word == "kept"
    await engine.check()
    assert (await send_signal(engine, first)).word == "taken"
    flows = await engine.flows()
    assert [flows[flow].ended_ms is not None for flow in (first, second)] == [True, True]
    await engine.control()
    await engine.check()


@pytest.mark.parametrize("verb", ["cancel", "ignore", "rerun", "timeout"])
async def test_what_takes_a_task_from_its_wait_leaves_nothing_behind(engine: Engine, verb: str) -> None:
    where = (engine.client, engine.partition)
    waits = (sleep(1), event(2, timeout_seconds=60), approval(3, of=2, timeout_seconds=60))
    flow = await engine.register(*waits, task(4, 1, 2, 3), timeout_ms=600_000)
    await give_answer(engine, flow, 3, "ann")
    if verb == "cancel":
        await cancel(*where, flow, by="eve")
    elif verb == "ignore":
        await ignore(*where, flow, by="eve", tasks=[1, 2, 3])
        assert [claim.task for claim in await engine.claim()] == [4]
    elif verb == "rerun":
        await rerun(*where, flow, by="eve", selection=[1, 2, 3])
        state = await engine.flow(flow)
        assert [state.task(seq).attempt for seq in (1, 2, 3)] == [2, 2, 2]
        assert state.task(3).votes is None
    else:
        await send(engine.client, "ZADD", engine.keys.timers, 1, f"f:{flow}")
        await engine.fire()
        assert (await engine.flow(flow)).suspended == 3
    await engine.check()


async def test_what_waits_behind_a_task_that_runs_again_is_asked_again(engine: Engine) -> None:
    flow = await engine.register(task(1), approval(2, 1), task(3, 2))
    await engine.finish(*await engine.claim())
    await rerun(engine.client, engine.partition, flow, by="eve", selection=[1])
    assert (await engine.flow(flow)).task(2).awaiting is None
    await engine.check()
    await engine.finish(*await engine.claim())
    assert (await engine.flow(flow)).task(2).attempt == 2
    await engine.check()


async def test_a_flow_keeps_a_thousand_signals_and_no_more(engine: Engine) -> None:
    flow = await engine.register(task(1), event(2, 1))
    for number in range(1000):
        assert (await send_signal(engine, flow, str(number))).word == "kept"
    assert (await send_signal(engine, flow, "x")).word == "full"
    await engine.finish(*await engine.claim())
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


async def test_a_flow_gets_so_many_signals_in_all_and_forgets_the_id_of_none(engine: Engine) -> None:
    flow = await engine.register(event(1, name="first"), event(2, 1, name="never"))
    assert (await send_signal(engine, flow, "known")).word == "kept"
    hash_of_flow = engine.keys.flow(flow)
    await send(engine.client, "HSET", hash_of_flow, "I", MOST_SIGNALS - 1)  # as if so many had been taken
    assert (await send_signal(engine, flow, "last", "first")).word == "taken"
    assert (await send_signal(engine, flow, "more")).word == "spent"
    assert (await send_signal(engine, flow, "known")).word == "known"
    state = await engine.flow(flow)
    assert state.signal_ids == {"known", "last"}
    await send(engine.client, "HSET", hash_of_flow, "I", 2)
    await engine.check()


async def test_a_task_that_awaits_a_signal_gets_none_where_its_flow_got_as_many_as_it_may(
    engine: Engine,
) -> None:
    flow, other = await engine.register_many(2, event(1))
    await send(engine.client, "HSET", engine.keys.flow(flow), "I", MOST_SIGNALS)
    sent = Sent(name="paid", id="one", by="shop")
    done = await signal(engine.client, engine.partition, sent, [flow, other], "first")
    assert [one.word for one in done] == ["spent", "taken"]
    sent = Sent(name="paid", id="two", by="shop")
    done = await signal(engine.client, engine.partition, sent, [flow, other], "each")
    assert [one.word for one in done] == ["spent", "absent"]
    await send(engine.client, "HDEL", engine.keys.flow(flow), "I")
    await engine.check()


async def test_a_signal_by_name_and_key_reaches_all_that_await_it_or_the_first(engine: Engine) -> None:
    flows = await engine.register_many(3, event(1, key="7"), event(2, 1))
    idle = await engine.register(task(1), event(2, 1, key="7"))
    sent = Sent(name="paid", key="7", id="one", by="shop")
    done = await signal(engine.client, engine.partition, sent, [idle, *flows], "first")
    assert [one.word for one in done] == ["unawaited", "taken", "other", "other"]
    done = await signal(engine.client, engine.partition, sent, [idle, *flows], "first")
    assert [one.word for one in done] == ["other", "known", "other", "other"]
    sent = msgspec.structs.replace(sent, id="two")
    done = await signal(engine.client, engine.partition, sent, [idle, *flows], "each")
    assert [(one.word, one.task) for one in done] == [
        ("unawaited", 0),
        ("taken", 2),
        ("taken", 1),
        ("taken", 1),
    ]
    done = await signal(engine.client, engine.partition, sent, [idle, *flows], "each")
    assert [one.word for one in done] == ["unawaited", "absent", "known", "known"]
    await engine.check()


async def test_a_chain_of_events_takes_what_is_kept_one_after_another(engine: Engine) -> None:
    flow = await engine.register(task(1), *(event(seq, seq - 1) for seq in range(2, 102)))
    for number in range(100):
        await send_signal(engine, flow, str(number))
    await engine.finish(*await engine.claim())
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


async def test_very_many_waits_begin_where_no_worker_is(engine: Engine) -> None:
    flow = await engine.register(*(event(seq) for seq in range(1, 1202)), task(1202, *range(1, 1202)))
    fired = [await engine.fire() for _ in range(3)]
    assert [one.next_ms for one in fired] == [0, 0, None]
    state = await engine.flow(flow)
    assert sum(one.is_awaiting for one in state.tasks) == 1201
    await engine.check()
    for number in range(1201):
        assert (await send_signal(engine, flow, str(number))).word == "taken"
    await engine.work_off()
    await engine.check()


async def test_a_snapshot_tells_what_is_awaited_and_kept(engine: Engine) -> None:
    waits = (sleep(1), event(2, key="k", timeout_seconds=60), approval(3, of=2))
    flow = await engine.register(*waits, task(4, 1, 2, 3))
    await give_answer(engine, flow, 3, "ann")
    await send_signal(engine, flow, "über", key="other")
    before = await engine.flow(flow)
    await snapshot(engine.client, engine.partition, [flow], {})
    after = await engine.flow(flow)
    assert after.signals == before.signals
    assert after.signal_ids == before.signal_ids
    assert after.task(3).votes == ("ann",)
    assert [task.planned for task in after.tasks] == [task.planned for task in before.tasks]
    await engine.check()
