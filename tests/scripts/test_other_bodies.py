"""rerun with another version: tasks that run again have its bodies, all others keep theirs."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import NeedsResultsError, RefusedError
from flower_engine.flows.flow_operations import results_of
from flower_engine.log.client import send
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.operator_events import FlowRerun
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.fold import fold
from flower_engine.model.folding.snapshot_registration import registration_of
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.operator_transitions import Body, Operated, prioritise, rerun
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.task_fields import decode_message, with_parameters
from scripts.engine import Engine, chain, task
from scripts.other_bodies import bodies

OTHER: dict[str, Any] = {
    "program": "B",
    "queue": "default",
    "priority": -3,
    "units": 2,
    "parameters": {"day": "tue"},
    "definition": "v2",
    "fair_key": "x/y",
    "program_key": "k",
}
TIMES: dict[str, Any] = {
    "retry": RetryPolicy(max_attempts=3, delay_ms=1, no_retry_on=("KeyError",)),
    "timeout_ms": 60_000,
    "queue_timeout_ms": 70_000,
}


async def run_again(
    engine: Engine, flow: str, selection: Any, given: dict[int, Body], **more: Any
) -> Operated:
    if (await engine.flow(flow)).ended_ms is not None:
        more["restored"] = await engine.restored(flow)
    done = await rerun(
        engine.client, engine.partition, flow, by="eve", selection=selection, bodies=given, **more
    )
    await engine.check()
    return done


async def planned(engine: Engine, flow: str) -> list[PlannedTask]:
    return [each.planned for each in (await engine.flow(flow)).tasks]


async def failed_chain(engine: Engine, length: int = 3, **first: Any) -> str:
    """A chain whose first task has failed for good."""
    rows = chain(length)
    flow = await engine.register(task(1, **first), *rows[1:])
    await engine.suspend(*await engine.claim())
    return flow


async def test_what_runs_again_has_the_other_body_and_what_does_not_keeps_its_own(engine: Engine) -> None:
    flow = await failed_chain(engine)
    before = await planned(engine, flow)
    done = await run_again(engine, flow, "failed", await bodies(engine, flow, **OTHER, **TIMES))
    assert done.tasks == (1,)
    first, *others = await planned(engine, flow)
    assert first == msgspec.structs.replace(before[0], **OTHER, **TIMES)
    assert others == before[1:]
    (claim,) = await engine.claim()
    message = decode_message(claim.message)
    assert (message.program, message.parameters, message.definition) == ("B", {"day": "tue"}, "v2")
    assert message.no_retry_on == ("KeyError",)
    await engine.fail(claim)
    assert (await engine.flow(flow)).task(1).retry_ms is not None, "it has a retry policy from here on"
    await engine.bring_due()
    await engine.work_off()
    assert (await engine.flow(flow)).status is Status.FINISH
    (event,) = [event for event in await engine.events() if isinstance(event, FlowRerun)]
    assert (event.suspended, event.bodies) == ((1,), {1: first})


async def test_all_that_waits_behind_may_be_taken_along(engine: Engine) -> None:
    flow = await failed_chain(engine)
    done = await run_again(engine, flow, [1], await bodies(engine, flow, **OTHER), scope="dependents")
    assert done.tasks == (1, 2, 3)
    assert [each.definition for each in await planned(engine, flow)] == ["v2"] * 3
    assert [decode_message(claim.message).program for claim in await engine.work_off()] == ["B"] * 3


async def test_a_task_that_is_in_its_lane_already_moves_to_the_other_one(engine: Engine) -> None:
    flow = await engine.register(task(1, queue_timeout_ms=60_000), task(2))
    with pytest.raises(RefusedError, match="task 1 waits already"):
        await run_again(engine, flow, [1], await bodies(engine, flow, of=set()))
    done = await run_again(engine, flow, [1], await bodies(engine, flow, **OTHER))
    assert done.tasks == (1,)
    assert [decode_message(claim.message).program for claim in await engine.work_off()] == ["B", "A"]


@pytest.mark.parametrize("before", [{}, TIMES], ids=["without", "with"])
@pytest.mark.parametrize("after", [{}, TIMES], ids=["without", "with"])
async def test_timeouts_and_retries_are_those_of_the_other_body(
    engine: Engine, before: dict[str, Any], after: dict[str, Any]
) -> None:
    flow = await engine.register(task(1, **before), task(2, **before))
    none = dict.fromkeys(TIMES)
    await run_again(engine, flow, [1], await bodies(engine, flow, definition="v2", **(none | after)))
    members: list[bytes] = await send(engine.client, "ZRANGE", engine.keys.timers, 0, -1)
    ticking = {member.decode() for member in members}
    expected = {f"q:{flow}:1"} if after else set[str]()
    assert ticking == expected | ({f"q:{flow}:2"} if before else set())
    await engine.claim(1)
    await engine.check()


async def test_a_suspect_begins_anew_with_its_other_body(engine: Engine) -> None:
    await engine.tick()
    flow = await engine.register(task(1))
    await engine.lose(*await engine.claim(worker="w2"), worker="w2")
    await engine.lapse(max_lost=2)
    await run_again(engine, flow, [1], await bodies(engine, flow, **OTHER))
    assert (await engine.flow(flow)).task(1).lost == 0
    await engine.work_off()


async def test_what_was_changed_since_is_refused_and_nothing_is_done(engine: Engine) -> None:
    flow = await failed_chain(engine)
    where = (engine.client, engine.partition, flow)
    seen = await bodies(engine, flow, **OTHER)
    await prioritise(*where, by="bob", priority=-7)
    with pytest.raises(RefusedError, match="task 1 was changed at the same moment"):
        await run_again(engine, flow, "failed", seen)
    seen = await bodies(engine, flow, **OTHER)
    message = seen[1].message
    changed = {1: (message, with_parameters(message, {"N": 1}))}
    await rerun(*where, by="bob", selection=[1], messages=changed)
    with pytest.raises(RefusedError, match="task 1 was changed at the same moment"):
        await run_again(engine, flow, [1], seen)
    with pytest.raises(RefusedError, match="task 2 was changed"):
        await run_again(engine, flow, [1], {1: (await bodies(engine, flow, **OTHER))[1]}, scope="dependents")
    assert [each.definition for each in await planned(engine, flow)] == [""] * 3


async def test_a_flow_that_had_ended_has_the_other_bodies_after_it_is_put_back(engine: Engine) -> None:
    flow = await engine.register(*chain(3))
    await engine.work_off()
    done = await run_again(engine, flow, [2], await bodies(engine, flow, **OTHER), scope="dependents")
    assert done.tasks == (2, 3)
    assert [decode_message(claim.message).program for claim in await engine.work_off()] == ["B", "B"]
    again = await bodies(engine, flow, of=set())
    assert [decode_message(body.message).definition for body in again.values()] == ["", "v2", "v2"]


async def test_sent_twice_it_is_done_once(engine: Engine) -> None:
    flow = await failed_chain(engine)
    given = await bodies(engine, flow, **OTHER)
    first = await run_again(engine, flow, "failed", given, operation="once")
    assert (await run_again(engine, flow, "failed", given, operation="once")).version == first.version


async def test_a_flow_has_data_from_here_on_where_the_other_body_reads(engine: Engine) -> None:
    flow = await engine.register(*chain(3))
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b'{"rows":7}')
    await engine.suspend(*await engine.claim())
    reading: dict[str, Any] = {"parameters": {"n": {"$from": 1}}, "reads": {"1": 1}, "refs": True}
    given = await bodies(engine, flow, of={2}, definition="v2", **reading)
    with pytest.raises(NeedsResultsError) as needs:
        await run_again(engine, flow, [2], given)
    await engine.check()
    assert needs.value.tasks == (1,)
    await run_again(engine, flow, [2], given, results=results_of(await engine.flow(flow), [1]))
    results = (await engine.exchange(wanted=1)).results
    await engine.check()
    assert results == {(flow, 1): b'={"rows":7}'}


async def test_a_body_that_reads_another_task_or_none_any_more(engine: Engine) -> None:
    def reads(*producers: int) -> dict[str, Any]:
        return {
            "parameters": {f"p{seq}": {"$from": seq} for seq in producers},
            "reads": {str(seq): seq for seq in producers},
            "refs": bool(producers),
        }

    *others, last = engine.plan(task(1), task(2), task(3, 1, 2)).planned
    plan = FlowPlan("etl", [*others, msgspec.structs.replace(last, **reads(1))])
    flow = (await engine.start(plan)).flow
    for claim in await engine.claim():
        await engine.finish(claim, payload=b"%d" % claim.task)
    await engine.suspend(*await engine.claim())
    given = await bodies(engine, flow, of={3}, definition="v2", **reads(2))
    with pytest.raises(NeedsResultsError) as needs:
        await run_again(engine, flow, [3], given)
    assert needs.value.tasks == (2,)
    await run_again(engine, flow, [3], given, results=results_of(await engine.flow(flow), [2]))
    given = await bodies(engine, flow, of={3}, definition="v3", **reads())
    await run_again(engine, flow, [3], given)
    results = (await engine.exchange(wanted=1)).results
    await engine.check()
    assert results == {}


async def test_what_reads_very_many_from_here_on_is_not_read_with_each_of_them(engine: Engine) -> None:
    many = range(1, 18)
    flow = await engine.register(*(task(seq) for seq in many), task(18, *many))
    read = {"parameters": {"all": [{"$from": seq} for seq in many]}, "reads": {str(seq): seq for seq in many}}
    await run_again(
        engine, flow, [18], await bodies(engine, flow, of={18}, definition="v2", refs=True, **read)
    )
    links = [await send(engine.client, "HGET", engine.keys.flow(flow), f"d{seq}") for seq in (1, 17, 18)]
    assert links == [b"18<!", b"18<!", b"<" + b",".join(b"%d" % seq for seq in many)]
    await engine.finish(*await engine.claim(), payload=b"7")
    assert (await engine.exchange(wanted=1)).results == {(flow, seq): b"=7" for seq in many}
    await engine.check()


async def test_a_snapshot_tells_the_other_bodies(engine: Engine) -> None:
    flow = await failed_chain(engine)
    await run_again(engine, flow, "failed", await bodies(engine, flow, **OTHER, **TIMES))
    await snapshot(engine.client, engine.partition, [flow], {})
    (event,) = [event for event in await engine.events() if isinstance(event, FlowSnapshot)]
    assert registration_of(event).tasks == tuple(await planned(engine, flow))
    assert fold(await engine.events())[flow].task(1).planned.definition == "v2"
