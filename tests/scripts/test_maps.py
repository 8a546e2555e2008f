"""Maps: a program runs once for each element of a list, and what its items come to is a list again."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import NeedsEarlierError, NeedsResultsError, RefusedError
from flower_engine.flows.flow_operations import results_of
from flower_engine.flows.matched_maps import earlier_of
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.tasks.raised_errors import encode_error
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.runtime import expanding
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.operator_transitions import (
    Operated,
    cancel,
    ignore,
    pause,
    prioritise,
    rerun,
    resume,
    unignore,
)
from flower_engine.transitions.restored_flow import spelled
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.worker_transitions import Claim
from scripts.engine import Engine, task

OVER_FIRST = {"over": {"$from": 1}, "program": "A", "as": "file", "parameters": {"strict": True}}


def a_map(seq: int, *depends_on: int, **more: Any) -> TaskDefinition:
    parameters = {**OVER_FIRST, **more.pop("parameters", {})}
    return msgspec.structs.replace(task(seq, *depends_on, program="@map", parameters=parameters), **more)


MAPPED = (task(1), a_map(2), task(3, 2, parameters={"counts": {"$from": 2}}))
"""A list, a map over it, and what takes the results of that."""


def decider(engine: Engine) -> Decider:
    return Decider(engine.client, engine.partition, "test")


async def expand(engine: Engine, payload: bytes = b'["a","b","c"]') -> None:
    """The first task ends with this list, and the map gets its items."""
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=payload)
    assert await decider(engine).run_once() == 1


async def finish_items(engine: Engine) -> list[Claim]:
    """All that is ready ends, with its own number as the result."""
    claims = await engine.claim()
    for claim in claims:
        await engine.finish(claim, payload=b"%d" % claim.task)
    return claims


async def run_again(engine: Engine, flow: str, *selection: int, **how: Any) -> Operated:
    """A rerun as operators ask for it: what it needs of results that are gone, and of the items that maps
    had, is sent with it."""
    state = await engine.flow(flow)
    restored = await engine.restored(flow) if state.ended_ms is not None else None
    asked: dict[str, Any] = {"by": "ann", "selection": list(selection), "restored": restored, **how}
    while True:
        try:
            return await rerun(engine.client, engine.partition, flow, **asked)
        except NeedsEarlierError as needs:
            assert "earlier" not in asked
            asked["earlier"] = earlier_of(state, needs.tasks)
        except NeedsResultsError as needs:
            assert "results" not in asked
            asked["results"] = results_of(state, needs.tasks)


async def stands(engine: Engine, flow: str) -> str:
    """Each task in a letter: by its status, or how it has ended."""
    letters = {
        Status.WAIT: ".",
        Status.RUNNING: "r",
        Status.SUSPEND: "S",
        Status.FINISH: "F",
        Status.IGNORE: "i",
    }
    await engine.check()
    return "".join(one.ended_as or letters[one.status] for one in (await engine.flow(flow)).tasks)


async def test_a_list_that_a_task_gives_becomes_items_and_their_results_a_list(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine)
    assert await stands(engine, flow) == "F....."
    found = await engine.flow(flow)
    assert [one.planned.parameters for one in found.tasks[3:]] == [
        {"strict": True, "file": name} for name in ("a", "b", "c")
    ]
    assert [one.planned.item for one in found.tasks[3:]] == [(2, 0), (2, 1), (2, 2)]
    first, second, third = await engine.claim()
    for claim in (third, first, second):
        await engine.finish(claim, payload=b"%d" % claim.task)
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(flow)).task(2).result == b"[4,5,6]"  # in the order of the list
    (claim,) = await engine.claim()
    assert claim.task == 3
    await engine.finish(claim)
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


async def test_an_empty_list_is_an_empty_result_along_a_chain(engine: Engine) -> None:
    """pgflow: a map of nothing leaves what is behind it waiting, or skips it."""
    flow = await engine.register(
        task(1),
        a_map(2),
        a_map(3, 2, parameters={"over": {"$from": 2}}),
        task(4, 3, parameters={"all": {"$from": 3}}),
    )
    await expand(engine, b"[]")
    assert await decider(engine).run_once() == 1
    assert [one.result for one in (await engine.flow(flow)).tasks[1:3]] == [b"[]", b"[]"]
    (claim,) = await engine.claim()
    assert claim.task == 4


@pytest.mark.parametrize(
    ("payload", "said"),
    [(b'{"a":1}', "is an object, no list"), (b"null", "is null, no list"), (b'"abc"', "is text, no list")],
)
async def test_what_is_no_list_suspends_the_map_with_its_type(
    engine: Engine, payload: bytes, said: str
) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine, payload)
    found = (await engine.flow(flow)).task(2)
    assert found.status is Status.SUSPEND
    assert found.error is not None and said in found.error.message
    await run_again(engine, flow, 1)
    await expand(engine)
    assert await stands(engine, flow) == "F....."


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        (["x"] * 10_001, "has 10001 elements; 10000 may be"),
        (["x", "y" * 65_535], "element 1 has 65537 bytes as JSON; 65536 may be"),
        (["x"] * 4, "would have more than 6 tasks with its items"),
    ],
)
async def test_more_than_a_map_may_have_suspends_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, elements: list[str], said: str
) -> None:
    monkeypatch.setattr(expanding, "MOST_TASKS", 6)
    flow = await engine.register(*MAPPED)
    await expand(engine, msgspec.json.encode(elements))
    found = (await engine.flow(flow)).task(2)
    assert found.error is not None
    assert (found.status, found.error.type) == (Status.SUSPEND, "ListError")
    assert said in found.error.message
    await run_again(engine, flow, 1)
    await expand(engine, b'["x","y","z"]')
    assert await stands(engine, flow) == "F....."


async def test_more_items_than_a_step_are_released_in_steps(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine, msgspec.json.encode(list(range(1_203))))
    assert await stands(engine, flow) == "F.." + "." * 1_203
    ran = await engine.work_off(slots=250)
    assert sorted(claim.task for claim in ran) == list(range(4, 1_207))
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(flow)).task(2).result == b"[" + b",".join([b"null"] * 1_203) + b"]"
    await engine.check()


async def test_an_item_that_fails_is_held_alone_and_the_map_goes_on_when_it_was_rerun(engine: Engine) -> None:
    """airflow#54779, #64526: clearing one mapped task clears others, or nothing behind it."""
    flow = await engine.register(*MAPPED)
    await expand(engine)
    first, second, third = await engine.claim()
    await engine.finish(first, payload=b"1")
    await engine.suspend(second)
    await engine.finish(third, payload=b"3")
    assert await stands(engine, flow) == "F..FSF"
    await run_again(engine, flow, 5)
    assert await stands(engine, flow) == "F..F.F"
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b"2")
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(flow)).task(2).result == b"[1,2,3]"


async def ended(engine: Engine) -> str:
    """A flow with a map of three that has ended."""
    flow = await engine.register(*MAPPED)
    await expand(engine)
    await finish_items(engine)
    await decider(engine).run_once()
    await finish_items(engine)
    assert await stands(engine, flow) == "FFFFFF"
    return flow


async def test_one_item_of_a_map_that_has_ended_runs_again_and_the_list_is_made_anew(engine: Engine) -> None:
    """airflow#54779, #64526: the others keep what they came to."""
    flow = await ended(engine)
    await run_again(engine, flow, 5)
    assert await stands(engine, flow) == "F..F.F"
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b'"again"')
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(flow)).task(2).result == b'[4,"again",6]'


async def test_what_a_map_goes_over_runs_again_and_the_map_is_expanded_anew(engine: Engine) -> None:
    """airflow#72725: item i has the state of another one, after the list has changed."""
    flow = await ended(engine)
    await run_again(engine, flow, 1)
    assert await stands(engine, flow) == "...vvv"
    await expand(engine, b'["z","a"]')
    assert await stands(engine, flow) == "F..vvv.."
    assert [claim.task for claim in await finish_items(engine)] == [7, 8]
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(flow)).task(2).result == b"[7,8]"
    with pytest.raises(RefusedError, match="expanded anew"):
        await run_again(engine, flow, 4)
    with pytest.raises(RefusedError):
        await unignore(engine.client, engine.partition, flow, by="ann", tasks=[4])


async def test_what_a_map_goes_over_runs_again_while_items_wait_and_one_is_held(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine)
    (first, second) = await engine.claim(wanted=2)
    await engine.finish(first)
    with pytest.raises(RefusedError, match="5"):
        await run_again(engine, flow, 1)  # an item runs
    await engine.suspend(second)
    assert await stands(engine, flow) == "F..FS."
    await run_again(engine, flow, 1)
    assert await stands(engine, flow) == "...vvv"
    await expand(engine, b"[7]")
    assert await stands(engine, flow) == "F..vvv."


async def test_a_map_that_is_named_runs_again_as_a_whole(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine)
    (first, *others) = await engine.claim()
    await engine.suspend(first)
    for claim in others:
        await engine.finish(claim)
    await run_again(engine, flow, 2)
    assert await stands(engine, flow) == "F..vvv"
    assert await decider(engine).run_once() == 1
    assert await stands(engine, flow) == "F..vvv..."


async def test_the_failed_items_run_again_and_only_they(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine)
    first, second, third = await engine.claim()
    await engine.suspend(first, third)
    await engine.finish(second)
    await rerun(engine.client, engine.partition, flow, by="ann", selection="failed")
    assert await stands(engine, flow) == "F...F."
    assert [claim.task for claim in await engine.claim()] == [4, 6]


async def test_a_whole_flow_runs_again(engine: Engine) -> None:
    flow = await ended(engine)
    restored = await engine.restored(flow)
    await rerun(engine.client, engine.partition, flow, by="ann", selection="all", restored=restored)
    assert await stands(engine, flow) == "...vvv"
    await expand(engine)
    restored = None
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[2], scope="dependents")
    assert await stands(engine, flow) == "F..vvvvvv"


async def test_ignored_items_are_left_out_of_the_list_or_stood_in_for(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[4])
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[5], result=b'"instead"')
    await finish_items(engine)
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(flow)).task(2).result == b'["instead",6]'
    await engine.check()


async def test_cancel_pause_and_priority_hold_for_items(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    (claim,) = await engine.claim()
    await pause(engine.client, engine.partition, flow, by="ann")
    await engine.finish(claim, payload=msgspec.json.encode(list(range(600))))
    await resume(engine.client, engine.partition, flow, by="ann")
    await decider(engine).run_once()
    await prioritise(engine.client, engine.partition, flow, by="ann", priority=-3)
    await engine.check()
    claims = await engine.claim(wanted=10)
    await pause(engine.client, engine.partition, flow, by="ann")
    await engine.finish(*claims)
    assert await engine.claim() == []
    await engine.check()
    await resume(engine.client, engine.partition, flow, by="ann")
    assert len(await engine.claim(wanted=10)) == 10
    await engine.check()
    await cancel(engine.client, engine.partition, flow, by="ann")
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()
    restored = await engine.restored(flow)
    await resume_cancelled(engine, flow, restored)
    assert len(await engine.work_off(slots=250)) == 590
    await decider(engine).run_once()
    await engine.check()


async def resume_cancelled(engine: Engine, flow: str, restored: Any) -> None:
    asked: dict[str, Any] = {"by": "ann", "selection": "failed", "restored": restored}
    try:
        await rerun(engine.client, engine.partition, flow, **asked)
    except NeedsResultsError as needs:
        results = results_of(await engine.flow(flow), needs.tasks)
        await rerun(engine.client, engine.partition, flow, results=results, **asked)
    await engine.check()


async def test_whoever_comes_second_changes_nothing(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b"[1,2]")
    one, other = decider(engine), decider(engine)
    assert await one.run_once() == 1
    assert await other.run_once() == 0
    assert await stands(engine, flow) == "F...."


async def test_a_snapshot_keeps_items(engine: Engine) -> None:
    flow = await ended(engine)
    await run_again(engine, flow, 1)
    await expand(engine, b'["a","b"]')
    (claim, _) = await engine.claim()
    await engine.finish(claim, payload=b"1")
    await snapshot(engine.client, engine.partition, [flow], {})
    assert await stands(engine, flow) == "F..vvvFr"


async def test_two_maps_of_one_flow_and_a_map_of_a_list_that_is_given(engine: Engine) -> None:
    """dagster#4364: what takes the results of two dynamic tasks."""
    flow = await engine.register(
        task(1),
        a_map(2, 1),
        a_map(3, parameters={"over": [1, 2, 3, 4]}),
        task(4, 2, 3, parameters={"one": {"$from": 2}, "other": {"$from": 3}}),
        task(5, 4, rule="settled"),
    )
    (first,) = await engine.claim()
    await decider(engine).run_once()
    await engine.finish(first, payload=b"[7,8]")
    await decider(engine).run_once()
    assert await stands(engine, flow) == "F.........."
    await finish_items(engine)
    assert await decider(engine).run_once() == 2
    found = await engine.flow(flow)
    assert (found.task(2).result, found.task(3).result) == (b"[10,11]", b"[6,7,8,9]")
    (claim,) = await engine.claim()
    assert claim.task == 4
    await engine.finish(claim)
    assert [one.task for one in await engine.claim()] == [5]
    await run_again(engine, flow, 7, scope="only")
    assert await stands(engine, flow) == "FFFFrF.FFFF"


async def a_bounded_map(engine: Engine, elements: int = 5, **bounds: Any) -> str:
    """A flow of which the map has its items."""
    flow = await engine.register(task(1), a_map(2, parameters=bounds), MAPPED[2])
    await expand(engine, msgspec.json.encode(list(range(elements))))
    return flow


async def gather(engine: Engine, flow: str) -> Any:
    """What the map comes to."""
    assert await decider(engine).run_once() == 1
    await engine.check()
    return msgspec.json.decode((await engine.flow(flow)).task(2).result or b"null")


async def test_a_list_in_a_blob_is_read_once_and_each_item_is_given_its_own_element(engine: Engine) -> None:
    await engine.register(*MAPPED)
    (claim,) = await engine.claim()
    await engine.store(claim, payload=b'{"sha256":"%b","bytes":13,"store":"api"}' % (b"0" * 64))
    read: list[int] = []

    async def fetch(blob: BlobRef) -> bytes:
        read.append(blob.bytes)
        return b'["a","b","c"]'

    by = Decider(engine.client, engine.partition, "test", fetch)
    assert await by.run_once() == 1
    claims = await engine.claim()
    given = [msgspec.json.decode(claim.message)["parameters"]["file"] for claim in claims]
    assert given == ["a", "b", "c"]
    assert not any(b"sha256" in claim.message or b'"reads"' in claim.message for claim in claims)
    await engine.finish(*claims)
    assert await by.run_once() == 1
    assert read == [13]
    await engine.check()


async def test_a_window_lets_so_many_items_run_and_one_that_waits_for_its_retry_gives_up_its_place(
    engine: Engine,
) -> None:
    flow = await a_bounded_map(engine, limit=2)
    other = await engine.register(task(1))
    claims = await engine.claim()
    assert [(claim.flow, claim.task) for claim in claims if claim.flow == flow] == [(flow, 4), (flow, 5)]
    assert other in {claim.flow for claim in claims}  # it stops nobody else
    await engine.check()
    first, second = (claim for claim in claims if claim.flow == flow)
    await engine.ask_for_retry(first, after_ms=60_000)
    (third,) = await engine.claim()
    assert third.task == 6
    await engine.suspend(second)
    assert [claim.task for claim in await engine.claim()] == [7]
    assert await engine.claim() == []
    await engine.check()
    assert await stands(engine, flow) == "F...Srr."


async def test_a_window_counts_items_whatever_their_units(engine: Engine) -> None:
    flow = await engine.register(task(1), a_map(2, parameters={"limit": 3}, units=5), MAPPED[2])
    await expand(engine, b"[1,2,3,4]")
    assert len(await engine.claim()) == 3
    assert await engine.claim() == []
    await engine.check()
    assert await stands(engine, flow) == "F..rrr."


async def test_all_items_of_a_window_run_in_the_end_and_nothing_of_it_is_left(engine: Engine) -> None:
    flow = await a_bounded_map(engine, 700, limit=7)
    most = 0
    while claims := await engine.claim(wanted=50):
        most = max(most, len(claims))
        await engine.finish(*claims)
    assert most == 7
    assert len(await gather(engine, flow)) == 700


async def test_an_item_that_is_given_up_is_tolerated_and_left_out_of_the_list(engine: Engine) -> None:
    flow = await a_bounded_map(engine, tolerate=1)
    first, *others = await engine.claim()
    await engine.suspend(first)
    for claim in others:
        await engine.finish(claim, payload=b"%d" % claim.task)
    assert await stands(engine, flow) == "F..xFFFF"
    assert await gather(engine, flow) == [5, 6, 7, 8]
    (claim,) = await engine.claim()
    assert claim.task == 3


async def test_more_items_than_are_tolerated_hold_the_map_and_no_other_starts(engine: Engine) -> None:
    flow = await a_bounded_map(engine, 10, tolerate=0.2, limit=4)
    claims = await engine.claim()
    await engine.suspend(*claims[:3])
    running = [claims[3]]
    assert await gather(engine, flow) is None
    found = (await engine.flow(flow)).task(2)
    assert found.status is Status.SUSPEND
    assert found.error is not None and found.error.type == "TooManyFailedError"
    assert "3 of 10 items were given up, and 2 are tolerated" in found.error.message
    assert await engine.claim() == []
    await engine.finish(*running)
    assert await engine.claim() == []
    assert await stands(engine, flow) == "FS.xxxF......"
    await rerun(engine.client, engine.partition, flow, by="ann", selection="failed")
    assert await stands(engine, flow) == "F.....F......"
    ran = await engine.work_off()
    assert sorted(claim.task for claim in ran) == [4, 5, 6, *range(8, 14)]
    assert len(await gather(engine, flow)) == 10


async def test_a_map_that_is_held_and_passed_over_lets_its_items_go_on(engine: Engine) -> None:
    flow = await a_bounded_map(engine, 4, tolerate=0, limit=2)
    first, second = await engine.claim()
    await engine.suspend(first)
    assert await gather(engine, flow) is None
    await engine.finish(second)
    assert await engine.claim() == []
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[2], result=b"[]")
    await engine.check()
    assert sorted(claim.task for claim in await engine.work_off()) == [3, 6, 7]
    assert (await engine.flow(flow)).ended_ms is not None


async def test_a_long_reason_is_cut_between_characters_in_redis_as_in_a_recovery(engine: Engine) -> None:
    """Of one, two, three and four bytes; the last of some ends at the bound, of others it is cut off."""
    messages = [
        f"{'x' * ahead}{character * 600}" for character in ("a", "é", "中", "𝄞") for ahead in range(4)
    ]
    messages += ["é" * 250, "é" * 251, '"é' * 300, "no\nmore"]
    flow = await a_bounded_map(engine, len(messages), tolerate=len(messages), outcomes=True)
    for claim, message in zip(await engine.claim(), messages, strict=True):
        await engine.suspend(claim, payload=encode_error(ValueError(message)))
    fields = (await engine.restored(flow)).fields
    restored = dict(zip(fields[::2], fields[1::2], strict=True))
    found = [one["error"] for one in await gather(engine, flow)]
    for seq, (message, told) in enumerate(zip(messages, found, strict=True), start=4):
        said, line = told.removeprefix("ValueError: "), message.partition("\n")[0]
        assert line.startswith(said)
        left = line[len(said) : len(said) + 1]
        assert len(said.encode()) <= 500 and (not left or len((said + left).encode()) > 500)
        assert restored[f"z{seq}"] == spelled(told)


async def test_the_list_may_say_of_each_item_what_became_of_it(engine: Engine) -> None:
    flow = await a_bounded_map(engine, 4, tolerate=3, outcomes=True)
    first, second, third, fourth = await engine.claim()
    await engine.finish(first, payload=b'"one"')
    await engine.suspend(second)
    await engine.give_back(third)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[6])
    await engine.finish(fourth, payload=b"null")
    assert await gather(engine, flow) == [
        {"index": 0, "status": "finished", "result": "one"},
        {"index": 1, "status": "given_up", "error": "E: no"},
        {"index": 2, "status": "ignored"},
        {"index": 3, "status": "finished", "result": None},
    ]


async def test_items_have_keys_by_which_they_are_told_apart(engine: Engine) -> None:
    flow = await engine.register(
        task(1), a_map(2, parameters={"key": "/id", "outcomes": True}), MAPPED[2], workflow="keyed"
    )
    await expand(engine, b'[{"id":"a"},{"id":7},{"id":true}]')
    await snapshot(engine.client, engine.partition, [flow], {})
    found = await engine.flow(flow)
    assert [one.planned.item_key for one in found.tasks] == ["", "", "", "a", "7", "true"]
    await finish_items(engine)
    assert await gather(engine, flow) == [
        {"index": index, "key": key, "status": "finished", "result": 4 + index}
        for index, key in enumerate(("a", "7", "true"))
    ]


async def test_after_the_list_has_changed_no_item_has_the_state_of_another_one(engine: Engine) -> None:
    """airflow#72725: the state of item i is given to what is the i-th element then."""
    flow = await engine.register(task(1), a_map(2, parameters={"key": "/id"}), MAPPED[2])
    await expand(engine, b'[{"id":"a"},{"id":"b"},{"id":"c"}]')
    first, second, third = await engine.claim()
    await engine.finish(first, payload=b'"of a"')
    await engine.suspend(second)
    await engine.finish(third, payload=b'"of c"')
    await run_again(engine, flow, 1)
    await expand(engine, b'[{"id":"c"},{"id":"a"}]')
    found = [one for one in (await engine.flow(flow)).tasks if one.planned.item and not one.ended_as]
    assert [(one.planned.item_key, one.status, one.attempt) for one in found] == [
        ("c", Status.WAIT, 0),
        ("a", Status.WAIT, 0),
    ]
    for claim in await engine.claim():
        key = found[claim.task - found[0].planned.seq].planned.item_key
        await engine.finish(claim, payload=msgspec.json.encode(f"of {key}, anew"))
    assert await gather(engine, flow) == ["of c, anew", "of a, anew"]


async def test_two_elements_of_one_key_suspend_the_map_with_both_indexes(engine: Engine) -> None:
    flow = await engine.register(task(1), a_map(2, parameters={"key": ""}), MAPPED[2])
    await expand(engine, b'["a","b","a"]')
    found = (await engine.flow(flow)).task(2)
    assert found.status is Status.SUSPEND
    assert found.error is not None and "elements 0 and 2 have the same key 'a'" in found.error.message


async def test_a_snapshot_keeps_windows(engine: Engine) -> None:
    flow = await a_bounded_map(engine, 4, limit=2)
    (claim, _) = await engine.claim()
    await snapshot(engine.client, engine.partition, [flow], {})
    await engine.finish(claim)
    assert len(await engine.claim()) == 1
    assert await stands(engine, flow) == "F..Frr."
