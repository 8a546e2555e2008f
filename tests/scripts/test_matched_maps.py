"""Maps that are expanded anew with the scope "changed": the same items keep what they came to, new ones run,
and those that vanish may come back."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import NeedsEarlierError, RefusedError
from flower_engine.flows.forks import plan_of_fork
from flower_engine.flows.matched_maps import MOST_EARLIER_BYTES, earlier_of
from flower_engine.model.definitions.definition import Keying, with_parameters
from flower_engine.model.maps.map_items import without_items
from flower_engine.model.tasks.status import Status
from flower_engine.runtime import expanding
from flower_engine.transitions.operator_transitions import cancel, ignore, rerun, unignore
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.task_fields import task_message
from scripts.engine import Engine, task
from scripts.test_map_chains import CHAIN, along, end
from scripts.test_maps import MAPPED, a_map, decider, expand, finish_items, run_again, stands

KEYED = (task(1), a_map(2, parameters={"key": "/id"}), task(3, 2, parameters={"counts": {"$from": 2}}))
"""A list, a map over it by keys, and what takes its results."""


def listed(*elements: Any) -> bytes:
    return msgspec.json.encode(elements)


def row(name: str, n: int = 0) -> dict[str, Any]:
    return {"id": name, "n": n}


async def given(engine: Engine, flow: str) -> dict[str, tuple[bytes | None, int]]:
    """What each item has that its map has now, and from which one it took that (0: it ran)."""
    found: dict[str, tuple[bytes | None, int]] = {}
    for one in (await engine.flow(flow)).tasks:
        if one.planned.item is not None and one.ended_as != "v":
            name = one.planned.item_key or str(one.planned.parameters["file"])
            found[name] = (one.result, one.taken_from)
    return found


async def anew(engine: Engine, flow: str, *elements: Any, **how: Any) -> list[int]:
    """The list is made anew, with these elements; which tasks ran then, but for the list itself."""
    await run_again(engine, flow, 1, scope="changed", **how)
    await expand(engine, listed(*elements))
    return await end(engine)


async def test_the_same_items_keep_their_results_new_ones_run_and_those_that_vanished_come_back(
    engine: Engine,
) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b"), row("c")))
    assert await end(engine) == [4, 5, 6, 3]
    assert await anew(engine, flow, row("c"), row("d"), row("a")) == [8, 3]
    assert await stands(engine, flow) == "FFFvvvFFF"
    assert await given(engine, flow) == {"c": (b"6", 6), "d": (b"8", 0), "a": (b"4", 4)}
    assert (await engine.flow(flow)).task(2).result == b"[6,8,4]"
    assert await anew(engine, flow, row("b"), row("d"), row("e")) == [12, 3]
    assert await given(engine, flow) == {"b": (b"5", 5), "d": (b"8", 8), "e": (b"12", 0)}
    assert await anew(engine, flow, row("a"), row("c"), row("e")) == [3]
    assert await given(engine, flow) == {"a": (b"4", 9), "c": (b"6", 7), "e": (b"12", 12)}


async def test_an_item_is_the_same_with_the_same_key_and_the_same_input_alone(engine: Engine) -> None:
    """airflow#72725: item i has the state of another one, after the list has changed."""
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a", 1), row("b", 1)))
    await end(engine)
    assert await anew(engine, flow, row("b", 1), row("a", 2)) == [7, 3]
    assert await given(engine, flow) == {"b": (b"5", 5), "a": (b"7", 0)}


async def test_without_keys_it_is_the_element_that_tells_items_apart(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine, listed("a", "a", "b"))
    await end(engine)
    assert await anew(engine, flow, "b", "a", "a", "a", "c") == [10, 11, 3]
    assert [(one.result, one.taken_from) for one in (await engine.flow(flow)).tasks[6:]] == [
        (b"6", 6),
        (b"4", 4),
        (b"5", 5),
        (b"10", 0),
        (b"11", 0),
    ]
    assert await anew(engine, flow, "a") == [3]
    assert await anew(engine, flow, "a", "a", "a", "a") == [16, 3]  # each of the three is there once


async def test_a_map_all_of_whose_items_are_the_same_has_its_list_at_once(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    await run_again(engine, flow, 2, scope="changed")
    assert await stands(engine, flow) == "F..vv"
    assert await decider(engine).run_once() == 1
    assert await stands(engine, flow) == "F..vvFF"
    assert await end(engine) == [3]
    starts = [event for event in await engine.events() if getattr(event, "task", 0) == 3]
    assert [type(event).__name__ for event in starts] == ["TaskStarted", "TaskFinished"] * 2


async def test_what_failed_or_was_passed_over_is_no_result_and_runs(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b"), row("c")))
    first, second, third = await engine.claim()
    await engine.finish(first, payload=b"1")
    await engine.suspend(second)
    await engine.give_back(third)
    await run_again(engine, flow, 2, scope="changed")
    assert await stands(engine, flow) == "F..vvv"
    assert await end(engine) == [8, 9, 3]
    assert (await given(engine, flow))["a"] == (b"1", 4)


async def test_other_parameters_of_the_map_are_another_input_of_all_items(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    found = await engine.flow(flow)
    planned = found.task(2).planned
    other = with_parameters(planned, {**planned.parameters, "parameters": {"strict": False}})
    now = task_message(found.workflow, without_items(planned))
    new = task_message(found.workflow, msgspec.structs.replace(without_items(other), reads=planned.reads))
    await run_again(engine, flow, 2, scope="changed", messages={2: (now, new)})
    assert await end(engine) == [6, 7, 3]


async def test_a_rerun_of_all_forgets_what_items_came_to(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    await anew(engine, flow, row("b"))
    await run_again(engine, flow, 1)
    await expand(engine, listed(row("b")))
    assert await end(engine) == [7, 3]
    assert await anew(engine, flow, row("a"), row("b")) == [8, 3]  # what a came to was before that
    assert (await given(engine, flow))["b"] == (b"7", 7)


async def test_until_it_has_its_list_a_map_keeps_what_it_is_matched_with(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    await run_again(engine, flow, 1, scope="changed")
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b"null")
    assert await decider(engine).run_once() == 1
    assert await stands(engine, flow) == "FS.vv"  # that is no list
    await run_again(engine, flow, 1, scope="changed")
    await expand(engine, b"[]")
    assert await decider(engine).run_once() == 0
    assert await end(engine) == [3]
    assert await anew(engine, flow, row("b"), row("a")) == [3]


async def test_a_flow_that_was_cancelled_meanwhile_goes_on_with_the_same(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    await run_again(engine, flow, 1, scope="changed")
    await cancel(engine.client, engine.partition, flow, by="bob")
    await run_again(engine, flow, selection="failed", scope="changed")
    await expand(engine, listed(row("b"), row("c")))
    assert await end(engine) == [7, 3]


async def test_a_map_that_was_passed_over_meanwhile_is_matched_still(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    await run_again(engine, flow, 1, scope="changed")
    await ignore(engine.client, engine.partition, flow, by="bob", tasks=[2], result=b"[]")
    await engine.check()
    await unignore(engine.client, engine.partition, flow, by="bob", tasks=[2])
    await expand(engine, listed(row("b"), row("c")))
    assert await end(engine) == [7, 3]


@pytest.mark.parametrize("bounds", [{}, {"limit": 1}, {"tolerate": 1}, {"tolerate": 0, "outcomes": True}])
async def test_bounds_of_a_map_hold_beside_items_that_do_not_run(
    engine: Engine, bounds: dict[str, Any]
) -> None:
    flow = await engine.register(
        task(1), a_map(2, parameters={"key": "/id", **bounds}), task(3, 2, parameters={"all": {"$from": 2}})
    )
    await expand(engine, listed(row("a"), row("b"), row("c")))
    await end(engine)
    await run_again(engine, flow, 1, scope="changed")
    await expand(engine, listed(row("d"), row("b"), row("e"), row("a")))
    assert await stands(engine, flow) == "F..vvv.F.F"
    claims = await engine.claim()
    assert [claim.task for claim in claims] == ([7] if bounds.get("limit") else [7, 9])
    await engine.suspend(claims[0])
    for claim in claims[1:]:
        await engine.finish(claim, payload=b"9")
    await end(engine)
    held = "S" if "tolerate" not in bounds else "x"
    assert (await stands(engine, flow))[6:] == f"{held}FFF"
    of_map = (await engine.flow(flow)).task(2)
    expected = Status.FINISH if bounds.get("tolerate") else Status.SUSPEND if bounds.get("outcomes") else None
    assert of_map.status is (expected or Status.WAIT)
    if bounds.get("tolerate"):
        assert of_map.result == b"[5,9,4]"


async def test_outcomes_tell_of_items_that_did_not_run(engine: Engine) -> None:
    flow = await engine.register(
        task(1),
        a_map(2, parameters={"key": "/id", "outcomes": True}),
        task(3, 2, parameters={"x": {"$from": 2}}),
    )
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    assert await anew(engine, flow, row("b")) == [3]
    result = (await engine.flow(flow)).task(2).result
    assert result is not None
    assert msgspec.json.decode(result) == [{"index": 0, "key": "b", "status": "finished", "result": 5}]


async def test_an_item_behind_one_that_does_not_run_does_not_run_either(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, listed("a", "b"))
    assert sorted(await end(engine)) == [5, 6, 7, 8, 9, 10, 11]
    assert await anew(engine, flow, "b", "c") == [13, 15, 17, 5]
    assert (await stands(engine, flow))[11:] == "FFFFFF"
    found = await engine.flow(flow)
    assert [found.task(seq).taken_from for seq in (12, 14, 16)] == [7, 9, 11]
    assert [found.task(seq).result for seq in (2, 3, 4)] == [b"[7,13]", b"[9,15]", b"[11,17]"]


async def test_an_item_behind_one_that_does_not_run_starts_at_once_if_it_has_no_result(
    engine: Engine,
) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, listed("a", "b"))
    first, second = await engine.claim()
    await engine.finish(first, payload=b"6")
    await engine.finish(second, payload=b"7")
    third, fourth = await engine.claim()
    await engine.suspend(third)
    await engine.give_back(fourth)
    await run_again(engine, flow, 1, scope="changed")
    await expand(engine, listed("b", "a"))
    assert (await stands(engine, flow))[11:] == "FF...."
    ran = await engine.claim()
    assert sorted(claim.task for claim in ran) == [14, 15]
    inputs = await engine.exchange("w9", wanted=0)
    assert inputs.words == []
    for claim in ran:
        await engine.finish(claim, payload=b"%d" % claim.task)
    assert await end(engine) == [16, 17, 5]


@pytest.mark.parametrize("bounds", [{"tolerate": 1}, {"tolerate": 0.5, "limit": 1}])
async def test_chains_with_rules_are_matched_in_the_same_way(engine: Engine, bounds: dict[str, Any]) -> None:
    flow = await engine.register(
        task(1),
        a_map(2, parameters=bounds),
        along(3, 2, parameters=bounds),
        task(4, 3, parameters={"x": {"$from": 3}}),
    )
    await expand(engine, listed("a", "b", "c"))
    claims = await engine.claim()
    while claims:
        for claim in claims:
            if claim.task == 9:
                await engine.suspend(claim)
            else:
                await engine.finish(claim, payload=b"%d" % claim.task)
        await engine.check()
        claims = await engine.claim()
    await run_again(engine, flow, 1, scope="changed")
    await expand(engine, listed("c", "b", "d"))
    await engine.check()
    assert (await stands(engine, flow))[10:13] == "FF."
    await end(engine)
    found = await engine.flow(flow)
    assert found.task(4).status is Status.FINISH
    assert [one.taken_from for one in found.tasks[10:]] == [7, 6, 0, 10, 0, 0]


async def test_many_items_are_taken_over_in_steps_none_of_them_lost(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine, msgspec.json.encode(list(range(1_203))))
    await engine.work_off(slots=250)
    await decider(engine).run_once()
    await end(engine)
    await run_again(engine, flow, 1, scope="changed")
    await expand(engine, msgspec.json.encode(list(range(600, 2_000))))
    await engine.check()
    found = await engine.flow(flow)
    assert sum(bool(one.taken_from) for one in found.tasks) == 603
    ran = await engine.work_off(slots=250)
    assert len(ran) == 1_400 - 603
    await decider(engine).run_once()
    await engine.check()
    assert (await engine.flow(flow)).task(2).status is Status.FINISH


async def test_whoever_dies_between_steps_leaves_nothing_and_the_next_one_matches_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, listed("a", "b"))
    await end(engine)
    await run_again(engine, flow, 1, scope="changed")
    monkeypatch.setattr(expanding, "STEP_FIELDS", 1)
    await expand(engine, listed("b", "c", "a"))
    await engine.check()
    assert (await stands(engine, flow))[11:] == "F.FF.FF.F"
    assert await end(engine) == [13, 16, 19, 5]


async def test_a_snapshot_and_a_recovery_know_what_a_map_is_matched_with(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    await run_again(engine, flow, 1, scope="changed")
    await snapshot(engine.client, engine.partition, [flow], {})
    await engine.check()
    await expand(engine, listed(row("b"), row("c")))
    assert await end(engine) == [7, 3]


async def test_who_matches_with_items_that_have_changed_since_is_asked_to_look_again(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    first, second = await engine.claim()
    await engine.finish(first, payload=b"1")
    await engine.give_back(second)
    seen = earlier_of(await engine.flow(flow), [2])
    await finish_items(engine)
    where = (engine.client, engine.partition, flow)
    with pytest.raises(NeedsEarlierError) as needs:
        await rerun(*where, by="ann", selection=[2], scope="changed", earlier=seen)
    assert needs.value.tasks == (2,)
    await engine.check()
    await run_again(engine, flow, 2, scope="changed")
    assert await end(engine) == [3]


async def test_results_that_are_too_large_to_be_matched_are_refused_with_what_to_do(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a")))
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b'"%b"' % (b"x" * MOST_EARLIER_BYTES))
    with pytest.raises(RefusedError, match="stored as blobs"):
        await run_again(engine, flow, 2, scope="changed")
    await engine.check()


async def test_dependents_that_read_no_result_stay_as_they_are(engine: Engine) -> None:
    flow = await engine.register(*KEYED, task(4, 2))
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    assert await anew(engine, flow, row("a"), row("c")) == [8, 3]
    assert await stands(engine, flow) == "FFFFvvFF"


async def fork(engine: Engine, flow: str, *tasks: int) -> str:
    """A fork that begins with these tasks."""
    plan = plan_of_fork(await engine.flow(flow), tasks, {}, Keying())
    return (await engine.start(plan)).flow


async def items_of(engine: Engine, flow: str) -> list[tuple[bytes | None, int]]:
    """What each item has that the maps have now, and from which one it took that."""
    found = await engine.flow(flow)
    return [
        (one.result, one.taken_from)
        for one in found.tasks
        if one.planned.item is not None and one.ended_as != "v"
    ]


async def test_a_fork_takes_over_the_items_of_a_map_that_has_not_ended(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b"), row("c")))
    first, second, third = await engine.claim()
    await engine.finish(first, payload=b"1")
    await engine.suspend(second)
    await engine.finish(third, payload=b"3")
    forked = await fork(engine, flow, 3)
    assert await decider(engine).run_once() == 1
    assert await stands(engine, forked) == "F..F.F"
    assert await end(engine) == [5, 3]
    assert await items_of(engine, forked) == [(b"1", -4), (b"5", 0), (b"3", -6)]
    assert (await engine.flow(forked)).task(2).result == b"[1,5,3]"


async def test_a_fork_that_begins_with_an_item_runs_that_and_no_other(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    forked = await fork(engine, flow, 5)
    assert await decider(engine).run_once() == 1
    assert await end(engine) == [5, 3]
    assert await items_of(engine, forked) == [(b"4", -4), (b"5", 0)]
    await run_again(engine, forked, 1, scope="changed")  # what it took over is its own from there on
    await expand(engine, listed(row("b"), row("a")))
    assert await end(engine) == [3]
    assert await items_of(engine, forked) == [(b"5", 5), (b"4", 4)]


@pytest.mark.parametrize("begin", [1, 2])
async def test_a_fork_that_begins_with_a_map_or_before_it_runs_all_items(engine: Engine, begin: int) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    await end(engine)
    forked = await fork(engine, flow, begin)
    if begin == 1:
        await expand(engine, listed(row("a"), row("b")))
    else:
        assert await decider(engine).run_once() == 1
    assert await end(engine) == [4, 5, 3]
    assert [taken for _, taken in await items_of(engine, forked)] == [0, 0]


async def test_a_fork_takes_over_chains_of_maps_as_far_as_nothing_before_runs(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, listed("a", "b"))
    await end(engine)
    forked = await fork(engine, flow, 6)
    assert await decider(engine).run_once() == 1
    assert await end(engine) == [6, 8, 10, 5]
    assert [taken for _, taken in await items_of(engine, forked)] == [0, -7, 0, -9, 0, -11]
    again = await fork(engine, forked, 7)
    assert await decider(engine).run_once() == 1
    assert await end(engine) == [7, 9, 11, 5]
    assert [taken for _, taken in await items_of(engine, again)] == [-6, 0, -8, 0, -10, 0]


async def test_results_that_are_too_large_together_run_again_in_a_fork(engine: Engine) -> None:
    flow = await engine.register(*KEYED)
    await expand(engine, listed(row("a"), row("b")))
    first, second = await engine.claim()
    await engine.finish(first, payload=b'"%b"' % (b"x" * MOST_EARLIER_BYTES))
    await engine.suspend(second)
    forked = await fork(engine, flow, 5)
    assert await decider(engine).run_once() == 1
    assert await end(engine) == [4, 5, 3]
    assert (await engine.flow(forked)).ended_ms is not None
