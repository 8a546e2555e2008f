"""Aligned chains of maps: an item waits for the item of the other map with its index, and for no other."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import RefusedError
from flower_engine.flows.operation_effects import effect_of_rerun
from flower_engine.log.client import send
from flower_engine.model.flow_control.flow_control import Strike
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.transitions import expansion_segments
from flower_engine.transitions.operator_transitions import Scope, ignore
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.strike_transition import sweep
from flower_engine.transitions.task_fields import with_parameters
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import Engine, task
from scripts.test_maps import a_map, decider, expand, run_again, stands

pytestmark = pytest.mark.usefixtures("much_in_common")
ALIGNED: dict[str, Any] = {"as": "row", "aligned": True, "parameters": {"strict": {"$literal": {"$from": 1}}}}


@pytest.fixture
def much_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    """What two items or more have in common stands once."""
    monkeypatch.setattr(expansion_segments, "LEAST_COMMON", 2)


def along(seq: int, over: int, **more: Any) -> Any:
    parameters = {**ALIGNED, "over": {"$from": over}, **more.pop("parameters", {})}
    return a_map(seq, over, parameters=parameters, **more)


CHAIN = (task(1), a_map(2), along(3, 2), along(4, 3), task(5, 4, parameters={"all": {"$from": 4}}))
"""A list, a map over it, two that go along, and what takes the results of the last. Of a list of two: items 6
and 7, then 8 and 9, then 10 and 11."""


async def finish(engine: Engine, *wanted: int) -> list[int]:
    """These of what is ready end (all, if none is named) with their numbers as results; others go back."""
    claims = await engine.claim()
    for claim in claims:
        if not wanted or claim.task in wanted:
            await engine.finish(claim, payload=b"%d" % claim.task)
        else:
            await engine.give_back(claim)
    return sorted(claim.task for claim in claims)


async def end(engine: Engine) -> list[int]:
    """All ends that can; what ran, in its order."""
    ran: list[int] = []
    while (ended := await finish(engine)) or await decider(engine).run_once():
        ran += ended
    return ran


async def test_each_item_goes_on_when_the_one_before_it_has_ended(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    assert await stands(engine, flow) == "F.........."
    found = await engine.flow(flow)
    assert [one.planned.depends_on for one in found.tasks[5:]] == [(), (), (6,), (7,), (8,), (9,)]
    first, second = await engine.claim()
    assert (first.task, second.task) == (6, 7)
    await engine.finish(first, payload=b'"six"')
    got = await engine.exchange("w1", wanted=9)  # while item 7 runs
    (next_one,) = got.claims
    assert (next_one.task, got.results) == (8, {(flow, 6): b'="six"'})
    message = msgspec.json.decode(next_one.message)
    assert message["parameters"] == {"strict": {"$literal": {"$from": 1}}, "row": {"$from": 2}}
    await engine.finish(next_one)
    assert await finish(engine) == [10]
    assert await stands(engine, flow) == "F....FrF.F."
    await engine.finish(second)
    assert await end(engine) == [9, 11, 5]
    found = await engine.flow(flow)
    assert [found.task(seq).result for seq in (2, 3, 4)] == [b'["six",null]', b"[null,9]", b"[10,11]"]
    assert found.ended_ms is not None


async def test_items_that_become_ready_in_one_call_have_the_places_that_they_would_have_one_by_one(
    engine: Engine,
) -> None:
    for together in (True, False):
        await engine.register(*CHAIN, task(6, 1))
        await expand(engine, b'["a","b"]')
        other, *items = await engine.claim()
        claims = [items[0], other, items[1]]
        for some in (claims,) if together else ([claim] for claim in claims):
            outcomes = [Outcome(claim, OutcomeKind.FINISHED, b"1") for claim in some]
            await engine.exchange(outcomes=outcomes, wanted=0)
        (first,) = await engine.claim(1)
        assert first.task == 10  # more of its flow had ended when it became ready
        await engine.finish(first)
        await end(engine)


async def test_an_empty_list_ends_the_whole_chain(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b"[]")
    for _ in range(2):
        assert await decider(engine).run_once() == 1
    assert [one.result for one in (await engine.flow(flow)).tasks[1:4]] == [b"[]"] * 3
    assert await end(engine) == [5]


async def test_an_item_that_fails_holds_those_behind_it_alone(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    first, second = await engine.claim()
    await engine.suspend(first)
    await engine.finish(second)
    assert await end(engine) == [9, 11]
    assert await stands(engine, flow) == "F....SF.F.F"
    await run_again(engine, flow, selection="failed")
    assert await end(engine) == [6, 8, 10, 5]


async def test_an_item_that_runs_again_takes_those_behind_it_along_and_no_other(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    await end(engine)
    before = await engine.flow(flow)
    done = await run_again(engine, flow, 6)
    assert sorted(done.tasks) == [2, 3, 4, 5, 6, 8, 10]
    assert await end(engine) == [6, 8, 10, 5]
    after = await engine.flow(flow)
    for seq in (1, 7, 9, 11):
        assert (after.task(seq).attempt, after.task(seq).result) == (1, before.task(seq).result)
    assert await stands(engine, flow) == "F" * 11
    await run_again(engine, flow, 9)
    assert await end(engine) == [9, 11, 5]


async def test_a_map_that_goes_along_another_one_and_is_named_runs_its_items_again(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    await end(engine)
    await run_again(engine, flow, 3)
    assert await end(engine) == [8, 9, 10, 11, 5]
    assert await stands(engine, flow) == "F" * 11


@pytest.mark.parametrize(("asked", "scope"), [(1, ""), (2, ""), (2, "only"), (1, "dependents")])
async def test_with_the_items_of_a_map_those_that_go_along_them_vanish(
    engine: Engine, asked: int, scope: str
) -> None:
    """airflow#72725: an item that was expanded anew had the state of the one before."""
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    assert await finish(engine, 6) == [6, 7]
    await run_again(engine, flow, asked, scope=scope)
    assert (await stands(engine, flow))[5:] == "vvvvvv"
    if asked == 1:
        await expand(engine, b'["c"]')
    else:
        assert await decider(engine).run_once() == 1
    found = await engine.flow(flow)
    last = len(found.tasks)
    assert found.task(last).planned.depends_on == ((last - 1,) if asked == 1 else (last - 2,))
    await end(engine)
    found = await engine.flow(flow)
    assert found.ended_ms is not None
    assert {one.attempt for one in found.tasks if one.planned.item and one.ended_as != "v"} == {1}


async def test_a_whole_chain_that_had_ended_runs_again(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    await end(engine)
    await run_again(engine, flow, selection="all")
    assert await stands(engine, flow) == ".....vvvvvv"
    await expand(engine, b'["c"]')
    assert await end(engine) == [12, 13, 14, 5]


async def test_what_an_item_behind_needs_is_not_passed_over_without_a_result(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    first, second = await engine.claim()
    await engine.suspend(first)
    await engine.finish(second)
    with pytest.raises(RefusedError, match="needed by task 8"):
        await ignore(engine.client, engine.partition, flow, by="ann", tasks=[6])
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[6], result=b'"given"')
    assert await end(engine) == [8, 9, 10, 11, 5]
    assert (await engine.flow(flow)).task(2).result == b'["given",null]'


async def test_an_item_that_is_given_up_is_left_out_of_the_whole_chain(engine: Engine) -> None:
    bounded = {"parameters": {"tolerate": 1, "limit": 1, "outcomes": True}}
    tail = task(4, 3, parameters={"all": {"$from": 3}})
    flow = await engine.register(task(1), a_map(2, **bounded), along(3, 2, **bounded), tail)
    await expand(engine, b'["a","b","c"]')
    (first,) = await engine.claim()  # the window of the first map
    await engine.suspend(first)
    assert await stands(engine, flow) == "F...x..n.."
    (second,) = await engine.claim()
    await engine.finish(second)
    third, behind = sorted(await engine.claim(), key=lambda claim: claim.task)
    assert (third.task, behind.task) == (7, 9)
    await engine.suspend(behind)  # the second one tolerates one, too
    await engine.finish(third)
    assert await end(engine) == [10, 4]
    assert await stands(engine, flow) == "FFFFxFFnxF"
    result = (await engine.flow(flow)).task(3).result
    assert result is not None
    assert [one["status"] for one in msgspec.json.decode(result)] == ["ignored", "given_up", "finished"]


async def test_an_item_that_was_given_up_and_vanishes_has_ended_once(engine: Engine) -> None:
    flow = await engine.register(task(1), a_map(2, parameters={"tolerate": 1}))
    await expand(engine, b'["a","b"]')
    first, second = await engine.claim()
    await engine.suspend(first)
    await engine.finish(second)
    assert await stands(engine, flow) == "F.xF"
    await run_again(engine, flow, 1)
    assert await stands(engine, flow) == "..vv"
    assert (await engine.flow(flow)).left == 2
    await expand(engine, b'["c"]')
    await end(engine)
    assert await stands(engine, flow) == "FFvvF"


async def with_an_item_passed_over(engine: Engine) -> str:
    """A flow that has ended: item 4 of map 2 was given up, so item 6 of map 3, behind it, was passed over."""
    bounded = {"parameters": {"tolerate": 1}}
    flow = await engine.register(task(1), a_map(2, **bounded), along(3, 2, **bounded))
    await expand(engine, b'["a","b"]')
    first, second = await engine.claim()
    await engine.suspend(first)
    await engine.finish(second)
    await end(engine)
    return flow


@pytest.mark.parametrize("scope", ["", "changed"])
async def test_an_item_that_was_passed_over_may_be_named_beside_the_map_that_makes_it_vanish(
    engine: Engine, scope: Scope
) -> None:
    flow = await with_an_item_passed_over(engine)
    assert await stands(engine, flow) == "FFFxFnF"
    again = await engine.flow(flow)
    assert effect_of_rerun(again, [2, 6], scope).runs == [2, 3]
    assert (await run_again(engine, flow, 2, 6, scope=scope)).tasks == (2, 3)
    assert await stands(engine, flow) == "F..vvvv"


async def test_an_item_that_its_rule_passes_over_is_not_asked_for_alone(engine: Engine) -> None:
    flow = await with_an_item_passed_over(engine)
    with pytest.raises(RefusedError, match="the rule of task 6 passes over it because of task 4"):
        await run_again(engine, flow, 6)


async def test_items_have_the_keys_of_those_that_they_go_along(engine: Engine) -> None:
    flow = await engine.register(task(1), a_map(2, parameters={"key": ""}), along(3, 2))
    await expand(engine, b'["a","b"]')
    assert [one.planned.item_key for one in (await engine.flow(flow)).tasks[3:]] == ["a", "b", "a", "b"]


async def test_a_list_that_was_given_for_a_map_is_gone_over_as_any_other(engine: Engine) -> None:
    outcomes = {"parameters": {"outcomes": True}}
    flow = await engine.register(task(1), a_map(2, **outcomes), along(3, 2))
    await expand(engine, b"null")
    given = b'[{"index":0,"status":"finished","result":"x"},{"index":1,"status":"ignored"}]'
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[2], result=given)
    assert await decider(engine).run_once() == 1
    found = await engine.flow(flow)
    assert [(one.planned.depends_on, one.planned.parameters["row"]) for one in found.tasks[3:]] == [((), "x")]


async def test_a_snapshot_and_a_recovery_keep_who_goes_along_whom(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    assert await finish(engine, 6) == [6, 7]
    await snapshot(engine.client, engine.partition, [flow], {})
    assert await stands(engine, flow) == "F....F....."
    assert [one.planned.along for one in (await engine.flow(flow)).tasks[1:4]] == [0, 2, 3]
    await run_again(engine, flow, 2)
    assert (await stands(engine, flow))[5:] == "vvvvvv"


async def test_more_than_a_step_goes_along_and_each_item_with_its_own(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, msgspec.json.encode(list(range(1_203))))
    assert len((await engine.flow(flow)).tasks) == 5 + 3 * 1_203
    ran = await engine.work_off(slots=250)
    assert len(ran) == 3 * 1_203
    await engine.check()
    found = await engine.flow(flow)
    assert all(found.task(seq).status is Status.FINISH for seq in range(6, len(found.tasks) + 1))
    await end(engine)
    assert (await engine.flow(flow)).ended_ms is not None


async def test_items_that_vanish_have_lost_no_worker(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    claims = await engine.claim()
    await engine.lose(*claims)
    assert len((await engine.lapse(lease_ms=0)).lapses) == 2
    await end(engine)
    await run_again(engine, flow, 2, scope="dependents")
    await engine.check()
    assert (await engine.flow(flow)).task(6).ended_as == "v"


async def test_an_item_that_vanishes_with_other_parameters_reads_what_these_say(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b'["a","b"]')
    await end(engine)
    restored = await engine.restored(flow)
    message = restored.messages([8])[8]
    given = {8: (message, with_parameters(message, {"row": 1}))}
    await run_again(engine, flow, 2, 8, scope="dependents", messages=given)
    await engine.check()
    assert (await engine.flow(flow)).task(8).ended_as == "v"


async def test_a_strike_meets_items_by_their_element_also_those_that_go_along_another_map(
    engine: Engine,
) -> None:
    flow = await engine.register(task(1), a_map(2), along(3, 2))
    await expand(engine, b'["a","b"]')
    strikes = [
        Strike(id="by element", program="A", parameter="file", value="a"),
        Strike(id="by result", program="A", parameter="row", value=5),
    ]
    await engine.control(strikes=strikes)
    await end(engine)
    found = await engine.flow(flow)
    items = {one.planned.seq: (one.status, one.result) for one in found.tasks[3:]}
    assert items[4][0] is Status.IGNORE, "its element is a"
    assert items[5] == (Status.FINISH, b"5")
    assert items[7] == (Status.IGNORE, None), "its element is the result 5"
    assert found.task(3).result == b"[6]"
    await engine.check()


STRUCK = b'"a \\"poison\\" \\u00fc"'


@pytest.mark.parametrize("waits", [False, True])
async def test_a_strike_meets_what_takes_a_whole_result_and_nothing_like_it(
    engine: Engine, waits: bool
) -> None:
    """In lanes already (``waits``), as in those that it comes to."""
    readers = (
        task(2, 1, parameters={"row": {"$from": 1}}),
        task(3, 1, parameters={"row": {"$from": 1, "path": "/0", "default": 1}}),
        task(4, 1, parameters={"row": {"$literal": {"$from": 1}}}),
        task(5, 1, parameters={"row": {"$text": "{r}", "r": {"$from": 1}}}),
    )
    strikes = [
        Strike(id="text", program="A", parameter="row", value='a "poison" ü'),
        Strike(id="number", program="A", parameter="row", value=1),
    ]
    flow = await engine.register(task(1), *readers)
    if waits:
        await engine.finish(*await engine.claim(), payload=STRUCK)
        await engine.control(strikes=strikes)
        assert await sweep(engine.client, engine.partition, ["A"]) == 1
    else:
        await engine.control(strikes=strikes)
        (claim,) = await engine.claim()
        ended = Outcome(claim, OutcomeKind.FINISHED, STRUCK)
        got = await engine.exchange("w1", outcomes=[ended], wanted=9)  # the same call hands in and claims
        assert len(got.claims) == 3
    await engine.claim()
    found = await engine.flow(flow)
    assert [one.planned.seq for one in found.tasks if one.status is Status.RUNNING] == [3, 4, 5]
    assert found.task(2).ignore_reason == "strike text"
    await engine.check()


@pytest.mark.parametrize("payload", [b"[1]", b'{"a":1}', b"true", b"null", b'"1"', b"10", b"-1", b"1e999"])
async def test_a_strike_meets_a_result_of_its_own_type_and_value_only(engine: Engine, payload: bytes) -> None:
    await engine.control(strikes=[Strike(id="s", program="A", parameter="row", value=1)])
    flow = await engine.register(task(1), task(2, 1, parameters={"row": {"$from": 1}}))
    await engine.finish(*await engine.claim(), payload=payload)
    assert [claim.task for claim in await engine.claim()] == [2]
    assert (await engine.flow(flow)).task(2).status is Status.RUNNING


async def test_a_strike_meets_a_result_that_is_false(engine: Engine) -> None:
    await engine.control(strikes=[Strike(id="s", program="A", parameter="row", value=False)])
    flow = await engine.register(task(1), task(2, 1, parameters={"row": {"$from": 1}}))
    await engine.finish(*await engine.claim(), payload=b"false")
    assert await engine.claim() == []
    assert (await engine.flow(flow)).task(2).status is Status.IGNORE


async def test_a_result_that_is_longer_than_what_any_strike_names_is_not_read_for_strikes(
    engine: Engine,
) -> None:
    """It may have a megabyte, and be read by each of many tasks, for each of many strikes."""
    named = [
        Strike(id=f"s{number}", program="A", parameter="row", value=str(number) * 9) for number in range(9)
    ]
    await engine.control(strikes=named)
    asked: list[int] = []
    for length in (9, 10_000):
        await engine.register(task(1), *(task(seq, 1, parameters={"row": {"$from": 1}}) for seq in (2, 3)))
        await engine.finish(*await engine.claim(), payload=b'"%b"' % (b"x" * length))
        before = await _gets(engine)
        claims = await engine.claim(wanted=2)
        asked.append(await _gets(engine) - before)
        assert len(claims) == 2
        await engine.finish(*claims)
    assert asked[1] <= asked[0] - 2 * len(named)


async def _gets(engine: Engine) -> int:
    told: dict[str, dict[str, int]] = await send(engine.client, "INFO", "commandstats")
    return told["cmdstat_hget"]["calls"]
