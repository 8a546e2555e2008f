"""Fields of large flows are sent ahead: nobody sees them before the call that registers the flow, and none of
them has to be there then."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from flower_engine.errors import LostError
from flower_engine.log.client import send
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.definitions.definition import WorkflowDefinition, plan_flow
from flower_engine.model.tasks.status import Status
from flower_engine.transitions import sent_fields
from flower_engine.transitions.loader import Script
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.sent_fields import LARGE, send_ahead
from scripts.engine import Engine, chain
from scripts.schedules import UID, Schedules
from scripts.trees import Trees, subflow

MANY = LARGE + 1
REGISTER = Script("register/register")
FIRE_SLOTS = Script("watcher/fire_slots")
BEGIN_CHILDREN = Script("watcher/begin_children")


def large_plan() -> FlowPlan:
    return FlowPlan("etl", plan_flow(WorkflowDefinition(name="etl", tasks=tuple(chain(MANY)))))


def fields_of(plan: FlowPlan) -> dict[bytes, bytes]:
    texts = [part if isinstance(part, bytes) else str(part).encode() for part in plan.fields]
    return dict(zip(texts[::2], texts[1::2], strict=True))


async def left_over(engine: Engine) -> list[bytes]:
    """Keys under which fields that were sent ahead lie."""
    keys: list[bytes] = await send(engine.client, "KEYS", engine.keys.sent("*"))
    return keys


async def registered_from(engine: Engine, flow: str, plan: FlowPlan, name: str) -> bytes:
    """The word of a call that brings no fields, but this name of them."""
    rest = [*plan.args_without_fields(name), flow, 1, "", "", b""]
    args = REGISTER.args(rest, generation=engine.partition.generation, plan_count=1)
    reply: Any = await REGISTER.run(engine.client, engine.keys.meta, args)
    word: bytes = engine.partition.check(reply)[1]
    return word


@asynccontextmanager
async def forbidden(engine: Engine, *commands: str) -> AsyncGenerator[None]:
    """Redis lets nobody do these meanwhile."""
    await send(engine.client, "ACL", "SETUSER", "default", *(f"-{name}" for name in commands))
    try:
        yield
    finally:
        await send(engine.client, "ACL", "SETUSER", "default", *(f"+{name}" for name in commands))


async def ahead(engine: Engine, plan: FlowPlan) -> str:
    return await send_ahead(engine.client, engine.partition, plan.tasks, plan.fields)


async def test_a_large_flow_has_the_fields_that_were_sent_ahead_and_stays(engine: Engine) -> None:
    plan, flow = large_plan(), engine.new_id()
    name = await ahead(engine, plan)
    assert await left_over(engine) == [engine.keys.sent(name).encode()]
    assert await send(engine.client, "TTL", engine.keys.sent(name)) > 0, "nobody would remove it"
    assert await registered_from(engine, flow, plan, name) == b"ok"
    key = engine.keys.flow(flow)
    found: dict[bytes, bytes] = await send(engine.client, "HGETALL", key)
    assert fields_of(plan).items() <= found.items()
    assert set(found) - set(fields_of(plan)) == {b"c"}
    assert await send(engine.client, "TTL", key) == -1, "the flow would expire"
    assert await left_over(engine) == []
    assert [claim.task for claim in await engine.claim()] == [1]


async def test_few_tasks_come_with_the_call(engine: Engine) -> None:
    assert await send_ahead(engine.client, engine.partition, LARGE, ("m1", "{}")) == ""
    assert await left_over(engine) == []


@pytest.mark.parametrize("field", ["", "m1"])
async def test_a_call_does_nothing_where_not_all_that_was_sent_ahead_is_there(
    engine: Engine, field: str
) -> None:
    plan, flow = large_plan(), engine.new_id()
    name = await ahead(engine, plan)
    key = engine.keys.sent(name)
    await (send(engine.client, "HDEL", key, field) if field else send(engine.client, "DEL", key))
    assert await registered_from(engine, flow, plan, name) == b"anew"
    assert await engine.flows() == {}
    assert await send(engine.client, "EXISTS", engine.keys.flow(flow)) == 0


async def test_a_call_sent_again_after_its_reply_was_lost_registers_nothing_new(engine: Engine) -> None:
    plan, flow = large_plan(), engine.new_id()
    name = await ahead(engine, plan)
    assert await registered_from(engine, flow, plan, name) == b"ok"
    assert await registered_from(engine, flow, plan, name) == b"duplicate"
    assert list(await engine.flows()) == [flow]


async def test_a_flow_whose_fields_expired_on_the_way_is_registered_with_all_of_them(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_fields, "_KEEP_SECONDS", 0)
    plan = large_plan()
    (registered,) = await register(engine.client, engine.partition, [Start(engine.new_id(), plan)])
    assert registered.word == "ok"
    found: dict[bytes, bytes] = await send(engine.client, "HGETALL", engine.keys.flow(registered.flow))
    assert fields_of(plan).items() <= found.items()
    assert await left_over(engine) == []


@pytest.mark.parametrize("keep_seconds", [60, 0])
async def test_a_large_child_begins_whether_its_fields_expired_on_the_way_or_not(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, keep_seconds: int
) -> None:
    monkeypatch.setattr(sent_fields, "_KEEP_SECONDS", keep_seconds)
    trees = Trees(engine)
    await trees.define(*chain(MANY))
    flow = await engine.register(subflow(1))
    assert await trees.begin(await trees.handed()) == ["ok"]
    child = (await engine.flows())[child_flow_id(flow, 1, 1)]
    assert len(child.tasks) == MANY
    assert child.status is not Status.FINISH
    assert await left_over(engine) == []
    assert [claim.task for claim in await engine.claim()] == [1]


async def test_a_slot_fires_a_large_flow_and_waits_for_the_next_look_where_its_fields_expired(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    nightly = await Schedules.of(engine)
    nightly.plan = large_plan()
    with monkeypatch.context() as patched:
        patched.setattr(sent_fields, "_KEEP_SECONDS", 0)
        fired = await nightly.propose(nightly.fire(1))
    assert (fired.word, fired.decided) == ("later", 0)
    assert await engine.flows() == {}
    fired = await nightly.propose(nightly.fire(1))
    assert (fired.word, fired.decided) == ("ok", 1)
    (flow,) = (await engine.flows()).values()
    assert len(flow.tasks) == MANY
    assert await left_over(engine) == []
    assert await nightly.fates() == {1: "fired"}


async def test_what_was_sent_ahead_of_a_flow_that_is_not_registered_goes_at_once(engine: Engine) -> None:
    start = Start(engine.new_id(), large_plan())
    for word in ("ok", "duplicate"):
        (registered,) = await register(engine.client, engine.partition, [start])
        assert registered.word == word
        assert await left_over(engine) == []
    nightly = await Schedules.of(engine)
    nightly.plan = large_plan()
    assert (await nightly.propose(nightly.fire(1))).word == "ok"
    assert (await nightly.propose(nightly.fire(2), overlap="skip")).word == "ok"
    assert await nightly.fates() == {1: "fired", 2: "skipped (overlap)"}
    assert await left_over(engine) == []


async def test_a_backfill_sent_again_after_its_reply_was_lost_still_has_its_slot(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    plan = large_plan()
    name = await ahead(engine, plan)
    firing = (UID, 1, "", "allow", "", "", "", 1)
    slot = (nightly.slot(1), nightly.slot(1), 1, nightly.slot(1))
    decision = ("fire", *slot, "b1", b'""', 1, nightly.flow(1), nightly.slot(0), nightly.slot(2))
    rest = [*plan.args_without_fields(name), *firing, *decision]
    args = FIRE_SLOTS.args(rest, generation=engine.partition.generation, plan_count=1)
    for _ in range(2):
        _, word, decided, *_ = await FIRE_SLOTS.run(engine.client, engine.keys.meta, args)
        assert (word, decided) == (b"ok", b"1")
    assert list(await engine.flows()) == [nightly.flow(1)]


async def test_a_child_that_has_begun_needs_no_fields_when_its_call_is_sent_again(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(*chain(MANY))
    flow = await engine.register(subflow(1))
    (due,) = await trees.handed()
    plan = large_plan()
    rest = [*plan.args_without_fields(await ahead(engine, plan)), due.member, due.attempt, due.lane]
    rest += ["p", 1, b',"by":"parent"']
    args = BEGIN_CHILDREN.args(rest, generation=engine.partition.generation, plan_count=1)
    for _ in range(2):
        assert await BEGIN_CHILDREN.run(engine.client, engine.keys.meta, args) == [b"ok", b"ok"]
    assert set(await engine.flows()) == {flow, child_flow_id(flow, 1, 1)}


async def test_no_field_is_written_where_none_can_expire(engine: Engine) -> None:
    async with forbidden(engine, "expire", "unlink"):
        with pytest.raises(NoPermissionError, match="expire"):
            await ahead(engine, large_plan())
    assert await left_over(engine) == []


async def test_what_was_sent_goes_at_once_where_the_rest_of_it_is_refused(engine: Engine) -> None:
    plan = large_plan()
    with pytest.raises(ResponseError, match="wrong number of arguments"):
        await send_ahead(
            engine.client, engine.partition, plan.tasks, [*plan.fields, "a field without a value"]
        )
    assert await left_over(engine) == []


async def test_what_was_sent_goes_at_once_where_the_call_is_refused(engine: Engine) -> None:
    trees, nightly = Trees(engine), await Schedules.of(engine)
    await trees.define(*chain(MANY))
    await engine.register(subflow(1))
    due, nightly.plan = await trees.handed(), large_plan()
    begin, partition = [Start(engine.new_id(), large_plan())], engine.partition
    async with forbidden(engine, "rename"):
        with pytest.raises(ResponseError, match="permission"):
            await register(engine.client, partition, begin)
    assert await left_over(engine) == []
    engine.partition = replace(partition, generation="another")
    try:
        for call in (
            lambda: register(engine.client, engine.partition, begin),
            lambda: trees.begin(due),
            lambda: nightly.propose(nightly.fire(1)),
        ):
            with pytest.raises(LostError):
                await call()
            assert await left_over(engine) == []
    finally:
        engine.partition = partition


async def test_a_call_sends_the_fields_of_one_large_flow_ahead_and_the_next_follows(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    decisions = [nightly.fire(number, plan=large_plan()) for number in (1, 2)]
    await send(engine.client, "CONFIG", "RESETSTAT")
    fired = await nightly.propose(*decisions)
    assert (fired.word, fired.decided) == ("later", 1)
    commands: dict[str, dict[str, int]] = await send(engine.client, "INFO", "commandstats")
    pieces = -(-len(large_plan().fields) // 1_000)
    assert commands["cmdstat_exec"]["calls"] == pieces
    fired = await nightly.propose(decisions[1])
    assert (fired.word, fired.decided) == ("ok", 1)
    assert await nightly.fates() == {1: "fired", 2: "fired"}
    assert await left_over(engine) == []
