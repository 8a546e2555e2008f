"""Joins that cancel the others once they have enough: what leads to them alone is stopped, wherever it is."""

import pytest

from flower_engine.errors import RefusedError
from flower_engine.flows.flow_operations import results_of
from flower_engine.flows.forks import plan_of_fork
from flower_engine.flows.unignoring import effect_of_unignore
from flower_engine.log.client import send
from flower_engine.model.definitions.definition import Keying
from flower_engine.model.events.events import TasksUnneeded
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.operator_transitions import cancel, ignore, pause, rerun, resume, unignore
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.worker_transitions import Claim
from scripts.engine import Engine, task
from scripts.test_maps import a_map, decider
from scripts.test_places import limit
from scripts.test_rules import kinds
from scripts.trees import Trees, subflow

ANY, TWO = "any:cancel", "at_least:2:cancel"


CHAIN_OR_TASK = (
    *(task(1, program="B"), a_map(2, 1)),
    a_map(3, 2, parameters={"over": {"$from": 2}, "aligned": True}),
    *(task(4, program="C"), task(5, 3, 4, rule=ANY)),
)
"""A map that goes along another one, and a task; the join needs one of them."""


async def claimed(engine: Engine, wanted: int = 100) -> dict[int, Claim]:
    return {claim.task: claim for claim in await engine.claim(wanted)}


async def unneeded(engine: Engine) -> list[list[int]]:
    """What each event cancelled, in order."""
    return [sorted(event) for event in await engine.events() if isinstance(event, TasksUnneeded)]


async def finish(engine: Engine, claim: Claim) -> None:
    """A task ends, and what follows from it is done."""
    await engine.finish(claim)
    while (await engine.exchange(wanted=0)).more:
        pass
    await engine.check()


async def test_the_first_of_two_stops_the_other_and_what_leads_only_to_it(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 2), task(4), task(5, 1, 3, 4, rule=ANY))
    running = await claimed(engine)
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F Iu Iu Iu W"
    assert await unneeded(engine) == [[2, 3, 4]]
    assert await engine.finish(running[2], running[4]) == ["stale", "stale"]
    (join,) = await engine.claim()
    assert join.task == 5
    await engine.finish(join)
    ended = await engine.flow(flow)
    assert (ended.status, ended.left, ended.suspended) == (Status.FINISH, 0, 0)


async def test_what_somebody_else_waits_for_goes_on_until_he_needs_it_no_more(engine: Engine) -> None:
    flow = await engine.register(
        *(
            task(1),
            task(2),
            task(3),
            task(4, 1, 2, rule=ANY),
            task(5, 2, 3, rule=ANY),
            task(6, 2, rule="settled"),
        )
    )
    running = await claimed(engine)
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F R R W W W"
    await finish(engine, running[3])
    assert await kinds(engine, flow) == "F R F W W W"
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[6])
    while (await engine.exchange(wanted=0)).more:
        pass
    assert await kinds(engine, flow) == "F Iu F W W Ip"
    await engine.work_off()


async def test_two_joins_share_a_task_until_both_have_enough(engine: Engine) -> None:
    flow = await engine.register(
        *(task(1), task(2), task(3), task(4, 1, 2, rule=ANY), task(5, 2, 3, rule=ANY))
    )
    running = await claimed(engine)
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F R R W W"
    await finish(engine, running[3])
    assert await kinds(engine, flow) == "F Iu F W W"
    await engine.work_off()


async def test_two_that_end_in_one_call_both_count_and_the_third_is_stopped(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3), task(4, 1, 2, 3, rule=ANY))
    running = await claimed(engine)
    await engine.finish(running[1], running[2])
    await engine.work_off()
    assert await kinds(engine, flow) == "F F Iu F"
    assert (await engine.flow(flow)).task(4).used == (1,)


async def test_of_several_so_many_are_awaited_and_held_ones_are_let_go_of(engine: Engine) -> None:
    retry = RetryPolicy(max_attempts=3, delay_ms=60_000, jitter=0.0)
    flow = await engine.register(
        *(task(1), task(2), task(3), task(4, retry=retry), task(5, on_failure="hold:60")),
        *(task(6, 1, 2, 3, 4, 5, rule=TWO), task(7, 5, 6, rule="failed")),
    )
    running = await claimed(engine)
    await engine.fail(running[4])
    await engine.suspend(running[5])
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F R R W S W W"
    (watcher,) = await engine.claim()
    assert watcher.task == 7
    await engine.finish(watcher)
    await finish(engine, running[2])
    assert await kinds(engine, flow) == "F F Iu Iu Iu W F"
    await engine.work_off()
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_waits_for_the_world_are_given_up_with_their_places(engine: Engine) -> None:
    approval = {"title": "go?", "form": {"type": "boolean"}}
    flow = await engine.register(
        task(1),
        task(2, program="@sleep", parameters={"seconds": 3600}),
        task(3, program="@event", parameters={"name": "paid"}),
        task(4, program="@approval", parameters=approval),
        task(5, 1, 2, 3, 4, rule=ANY),
    )
    running = await claimed(engine)
    assert all(task.is_awaiting for task in (await engine.flow(flow)).tasks[1:4])
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F Iu Iu Iu W"
    await engine.work_off()


async def test_a_map_goes_with_its_items_also_those_along_it(engine: Engine) -> None:
    flow = await engine.register(*CHAIN_OR_TASK)
    running = await claimed(engine)
    await engine.finish(running[1], payload=b'["a","b","c"]')
    assert await decider(engine).run_once() >= 1
    items = await engine.claim(wanted=2)
    await finish(engine, items[0])
    state = await engine.flow(flow)
    assert (len(state.tasks), state.task(2).planned.items, state.task(3).planned.items) == (
        *(11, (6, 3), (9, 3)),
    )
    await finish(engine, running[4])
    assert await kinds(engine, flow) == "F Iu Iu F W F Iu Iu Iu Iu Iu"
    assert await engine.finish(items[1]) == ["stale"]
    await engine.work_off()


async def test_a_child_is_cancelled_with_its_tree(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(task(1), subflow(2), task(3, 1, 2, rule=ANY))
    await trees.settle()
    child = await trees.child(flow, 2)
    running = {(claim.flow, claim.task): claim for claim in await engine.claim()}
    await finish(engine, running[flow, 1])
    assert await kinds(engine, flow) == "F Iu W"
    await trees.settle()
    assert (await engine.flow(child)).status is Status.IGNORE
    assert await engine.finish(running[child, 1]) == ["stale"]
    await engine.work_off()


async def test_many_are_stopped_in_steps_and_each_of_them_once(engine: Engine) -> None:
    """Wide and deep: two hundred chains of three behind a join, and what is before all of them."""
    chains = [
        task(3 + 3 * n + i, *((2,) if i == 0 else (2 + 3 * n + i,))) for n in range(200) for i in range(3)
    ]
    ends = tuple(5 + 3 * n for n in range(200))
    flow = await engine.register(task(1), task(2), *chains, task(700, 1, *ends, rule=ANY))
    running = await claimed(engine)
    await engine.finish(running[1])
    while (await engine.exchange(wanted=0)).more:
        pass
    stopped = await unneeded(engine)
    assert len(stopped) > 1
    assert sorted(seq for step in stopped for seq in step) == list(range(2, 603))
    await engine.check()
    await engine.work_off()
    assert (await engine.flow(flow)).ended_ms is not None


async def test_steps_go_on_after_an_operation_that_counts_everything_anew(engine: Engine) -> None:
    """The last of the others stays waited for by somebody else, whom an ignore takes away."""
    others = range(2, 402)
    flow = await engine.register(task(1), *map(task, others), task(402, 1, *others, rule=ANY), task(403, 401))
    running = await claimed(engine, wanted=402)
    await engine.finish(running[1])
    assert await unneeded(engine) == []
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[403])
    await engine.check()
    while (await engine.exchange(wanted=0)).more:
        pass
    await engine.check()
    assert sorted(seq for step in await unneeded(engine) for seq in step) == [*others]
    await engine.work_off()


async def test_a_flow_that_is_cancelled_between_two_steps_ends(engine: Engine) -> None:
    others = range(2, 402)
    flow = await engine.register(task(1), *map(task, others), task(402, 1, *others, rule=ANY))
    running = await claimed(engine, wanted=402)
    await engine.finish(running[1])
    assert (await engine.exchange(wanted=0)).more
    assert 0 < len((await unneeded(engine))[0]) < len(others)
    await cancel(engine.client, engine.partition, flow, by="ann")
    await engine.exchange(wanted=0)
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


async def test_an_ignore_may_be_what_a_join_needs(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2, rule=ANY))
    (first,) = await engine.claim(wanted=1)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[2])
    while (await engine.exchange(wanted=0)).more:
        pass
    assert await kinds(engine, flow) == "Iu Ip W"
    assert await engine.finish(first) == ["stale"]
    with pytest.raises(RefusedError, match="task 1 is not ignored"):
        await unignore(engine.client, engine.partition, flow, by="ann", tasks=[1])
    await unignore(engine.client, engine.partition, flow, by="ann", tasks=[2])
    await engine.check()
    assert await kinds(engine, flow) == "W W W"
    await engine.work_off()


async def test_an_unignore_opens_what_a_join_may_need_in_its_place_also_where_it_has_some(
    engine: Engine,
) -> None:
    flow = await engine.register(task(1), task(2), task(3), task(4, 1, 2, 3, rule=TWO))
    running = await claimed(engine)
    await finish(engine, running[1])
    await engine.suspend(running[2])
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[2])
    while (await engine.exchange(wanted=0)).more:
        pass
    assert await kinds(engine, flow) == "F Ip Iu W"
    await unignore(engine.client, engine.partition, flow, by="ann", tasks=[2])
    await engine.check()
    assert await kinds(engine, flow) == "F W W W"
    again = await claimed(engine)
    await finish(engine, again[3])
    assert await kinds(engine, flow) == "F Iu F W"
    await engine.work_off()


async def test_an_unignore_of_what_a_join_counted_on_opens_the_others_and_what_leads_to_them(
    engine: Engine,
) -> None:
    flow = await engine.register(task(1), task(2, 1), task(3), task(4, 2, 3, rule=ANY), task(5, 4))
    running = await claimed(engine)
    await engine.suspend(running[3])
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[3])
    while (await engine.exchange(wanted=0)).more:
        pass
    assert await kinds(engine, flow) == "Iu Iu Ip W W"
    effect = effect_of_unignore(await engine.flow(flow), [3], now_ms=0)
    assert (effect.reopens, effect.withdrawn, effect.ready) == ([1, 2, 3], [4], [1, 3])
    await unignore(engine.client, engine.partition, flow, by="ann", tasks=[3])
    await engine.check()
    assert await kinds(engine, flow) == "W W W W W"
    assert await engine.finish(running[1]) == ["stale"]
    again = await claimed(engine)
    assert (again[1].attempt, again[3].attempt) == (2, 2)
    await finish(engine, again[1])
    await engine.suspend(again[3])
    assert sorted(claim.task for claim in await engine.work_off()) == [2, 4, 5]


async def test_an_unignore_leaves_cancelled_what_a_join_does_without_all_the_same(engine: Engine) -> None:
    flow = await engine.register(
        *(task(1), task(2), task(3), task(4, 1, 2, 3, rule=TWO), task(5), task(6, 4, 5, rule=ANY))
    )
    running = await claimed(engine)
    await finish(engine, running[1])
    await engine.suspend(running[5])
    await engine.finish(running[2])
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[5])
    while (await engine.exchange(wanted=0)).more:
        pass
    assert await kinds(engine, flow) == "F F Iu Iu Ip W"
    await unignore(engine.client, engine.partition, flow, by="ann", tasks=[5])
    await engine.check()
    assert await kinds(engine, flow) == "F F Iu W W W"
    assert sorted(claim.task for claim in await engine.work_off()) == [4, 5, 6]


async def test_an_unignore_opens_a_sub_flow_that_was_cancelled_which_gets_another_child(
    engine: Engine, trees: Trees
) -> None:
    flow = await engine.register(task(1), subflow(2), task(3, 1, 2, rule=ANY))
    await trees.settle()
    first = await trees.child(flow, 2)
    running = {(claim.flow, claim.task): claim for claim in await engine.claim()}
    await engine.suspend(running[flow, 1])
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[1])
    while (await engine.exchange(wanted=0)).more:
        pass
    await trees.settle()
    assert await kinds(engine, flow) == "Ip Iu W"
    await unignore(engine.client, engine.partition, flow, by="ann", tasks=[1])
    await trees.settle()
    second = await trees.child(flow, 2, attempt=2)
    assert (await engine.flow(first)).status is Status.IGNORE
    again = {(claim.flow, claim.task): claim for claim in await engine.claim()}
    await engine.finish(again[second, 1])
    await engine.finish(*await engine.claim())
    await trees.settle()
    while (await engine.exchange(wanted=0)).more:
        pass
    assert await kinds(engine, flow) == "Iu F W"
    await engine.work_off()


async def test_an_unignore_opens_a_map_that_was_cancelled_with_those_of_its_items_that_were(
    engine: Engine,
) -> None:
    flow = await engine.register(*CHAIN_OR_TASK)
    running = await claimed(engine)
    await engine.finish(running[1], payload=b'["a","b","c"]')
    assert await decider(engine).run_once() >= 1
    (item,) = await engine.claim(wanted=1)
    await engine.finish(item)
    await engine.suspend(running[4])
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[4])
    while (await engine.exchange(wanted=0)).more:
        pass
    assert await kinds(engine, flow) == "F Iu Iu Ip W F Iu Iu Iu Iu Iu"
    results = results_of(await engine.flow(flow), [1, 6])
    await unignore(engine.client, engine.partition, flow, by="ann", tasks=[4], results=results)
    await engine.check()
    assert await kinds(engine, flow) == "F W W W W F W W W W W"
    running = await claimed(engine)
    assert sorted(running) == [4, 7, 8, 9]
    await engine.finish(running[7], running[8], running[9])
    running = await claimed(engine)
    await engine.finish(running[10])
    await engine.finish(running[11])
    while await decider(engine).run_once() or (await engine.exchange(wanted=0)).more:
        pass
    await engine.check()
    assert await kinds(engine, flow) == "F F F Iu W F F F F F F"
    await engine.work_off()


async def test_a_rerun_asks_for_what_is_needed_and_is_refused_what_is_not(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2, rule=ANY), task(4, 3))
    running = await claimed(engine)
    await finish(engine, running[1])
    (join,) = await engine.claim()
    await engine.finish(join)
    assert await kinds(engine, flow) == "F Iu F W"
    with pytest.raises(RefusedError, match="task 2 leads only to what goes on without it: task 3 has enough"):
        await rerun(engine.client, engine.partition, flow, by="ann", selection=[2], scope="only")
    with pytest.raises(RefusedError, match="task 3 has enough"):
        await rerun(engine.client, engine.partition, flow, by="ann", selection=[2, 3], scope="only")
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[3])
    await engine.check()
    assert await kinds(engine, flow) == "F Iu W W"
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[1], scope="dependents")
    await engine.check()
    assert await kinds(engine, flow) == "W Iu W W"
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[2])
    running = await claimed(engine)
    await finish(engine, running[2])
    assert await kinds(engine, flow) == "Iu F W W"
    await rerun(engine.client, engine.partition, flow, by="ann", selection="all")
    assert await kinds(engine, flow) == "W W W W"
    await engine.work_off()


async def test_what_a_join_began_with_runs_again_by_itself(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2, rule=ANY), task(4, 3))
    running = await claimed(engine)
    await finish(engine, running[1])
    (join,) = await engine.claim()
    await engine.finish(join)
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[1], scope="only")
    await engine.check()
    assert await kinds(engine, flow) == "W Iu F W"
    assert sorted(claim.task for claim in await engine.work_off()) == [1, 4]


async def test_a_paused_flow_lets_go_of_what_nobody_needs_and_goes_on_where_it_was(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3), task(4, 3), task(5, 1, 2, 4, rule=ANY))
    running = await claimed(engine)
    await pause(engine.client, engine.partition, flow, by="ann")
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F Iu Iu Iu W"
    await resume(engine.client, engine.partition, flow, by="ann")
    assert [claim.task for claim in await engine.work_off()] == [5]


async def notes(engine: Engine) -> int:
    """How many of what is still to be told or looked at there are."""
    return int(await send(engine.client, "LLEN", engine.keys.fanout))


async def test_a_paused_flow_counts_items_as_active_that_wait_for_no_other_item(engine: Engine) -> None:
    await limit(engine, 5)
    flow = await engine.register(*CHAIN_OR_TASK)
    running = await claimed(engine)
    await engine.finish(running[1], payload=b'["a","b","c"]')
    assert await decider(engine).run_once() >= 1
    (item,) = await engine.claim(wanted=1)
    await pause(engine.client, engine.partition, flow, by="ann")
    await engine.finish(item)
    await finish(engine, running[4])
    assert await kinds(engine, flow) == "F Iu Iu F W F Iu Iu Iu Iu Iu"
    await resume(engine.client, engine.partition, flow, by="ann")
    assert [claim.task for claim in await engine.work_off()] == [5]


async def test_a_paused_flow_lets_go_of_what_would_wait_for_the_world(engine: Engine) -> None:
    await limit(engine, 5)
    approval = {"title": "go?", "form": {"type": "boolean"}}
    flow = await engine.register(
        *(task(1), task(2)),
        task(3, 2, program="@sleep", parameters={"seconds": 3600}),
        task(4, 2, program="@event", parameters={"name": "paid"}),
        task(5, 2, program="@approval", parameters=approval),
        *(a_map(6, 2, parameters={"over": {"$from": 2}}), subflow(7, 2)),
        task(8, 1, 3, 4, 5, 6, 7, rule=ANY),
    )
    running = await claimed(engine)
    await pause(engine.client, engine.partition, flow, by="ann")
    await engine.finish(running[2], payload=b"[1]")
    await engine.check()
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F F Iu Iu Iu Iu Iu W"
    await resume(engine.client, engine.partition, flow, by="ann")
    assert [claim.task for claim in await engine.work_off()] == [8]


async def test_a_paused_flow_lets_go_of_items_that_were_not_released_yet(engine: Engine) -> None:
    """More items than are released at once, of a map that is to be looked at already."""
    await limit(engine, 5)
    flow = await engine.register(
        *(task(1, program="B"), a_map(2, 1), task(3, program="C"), task(4, 2, 3, rule=ANY))
    )
    running = await claimed(engine)
    await engine.finish(running[1], payload=b"[%s]" % b",".join([b"1"] * 700))
    await pause(engine.client, engine.partition, flow, by="ann")
    await engine.finish(running[3])
    assert await decider(engine).run_once() == 1
    assert await notes(engine) == 2
    while (await engine.exchange(wanted=0)).more:
        pass
    await engine.check()
    assert (await engine.flow(flow)).left == 1
    await resume(engine.client, engine.partition, flow, by="ann")
    assert [claim.task for claim in await engine.work_off()] == [4]


async def test_a_call_looks_at_so_many_tasks_for_all_of_its_notes_together(engine: Engine) -> None:
    """Twelve joins go on in one call, each of which waits for the same four hundred tasks."""
    others, joins = range(2, 402), range(402, 414)
    flow = await engine.register(
        *(task(1), *(task(other, program="B") for other in others)),
        *(task(join, 1, *others, rule=ANY) for join in joins),
        *(task(414, *others), task(415)),
    )
    (first,) = [claim for claim in await engine.claim(500) if claim.task == 1]
    await engine.finish(first)
    assert await notes(engine) >= 12
    await engine.exchange(wanted=0)
    assert 0 < await notes(engine) < 12
    while (await engine.exchange(wanted=0)).more:
        pass
    assert await unneeded(engine) == []
    await engine.check()
    assert (await engine.flow(flow)).left == 414


async def test_nothing_is_noted_of_what_is_passed_over_with_nothing_open_before_it(engine: Engine) -> None:
    many = range(2, 302)
    await engine.register(
        *(task(1), *(task(one, 1, rule="failed") for one in many)),
        *(task(302), task(303), task(304, 302, 303, rule=ANY), task(305, 1, 302, rule="finished")),
    )
    running = await claimed(engine)
    await engine.finish(running[1])
    assert await notes(engine) == 0
    await engine.check()
    await engine.finish(running[302])
    assert await notes(engine) == 1
    await engine.work_off()


async def test_what_cleans_up_is_always_done(engine: Engine) -> None:
    flow = await engine.register(
        *(task(1), task(2), task(3, 2, finally_=True), task(4, 1, 3, rule=ANY), task(5, 1, 2, rule=ANY))
    )
    running = await claimed(engine)
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F R W W W"
    await engine.finish(running[2])
    await engine.work_off()
    assert await kinds(engine, flow) == "F F F F F"


async def test_a_join_that_nobody_needs_takes_along_what_led_to_it(engine: Engine) -> None:
    flow = await engine.register(
        *(task(1), task(2), task(3), task(4, 2, 3, rule=TWO), task(5, 1, 4, rule=ANY))
    )
    running = await claimed(engine)
    await finish(engine, running[2])
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F F Iu Iu W"
    await engine.work_off()


async def test_a_snapshot_and_a_fork_know_what_was_not_needed(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2, rule=ANY), task(4, 3))
    running = await claimed(engine)
    await finish(engine, running[1])
    await snapshot(engine.client, engine.partition, [flow], {})
    await engine.check()
    assert await kinds(engine, flow) == "F Iu W W"
    await engine.work_off()
    plan = plan_of_fork(await engine.flow(flow), [4], {}, Keying())
    forked = (await engine.start(plan)).flow
    await engine.check()
    assert await kinds(engine, forked) == "F Iu F W"
    again = plan_of_fork(await engine.flow(flow), [3], {}, Keying())
    second = (await engine.start(again)).flow
    assert await kinds(engine, second) == "F Iu W W"
    await engine.work_off()


async def test_failure_of_a_join_keeps_the_others_stopped_and_its_retry_needs_none(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2, rule=ANY))
    running = await claimed(engine)
    await finish(engine, running[1])
    (join,) = await engine.claim()
    await engine.suspend(join)
    assert await kinds(engine, flow) == "F Iu S"
    await rerun(engine.client, engine.partition, flow, by="ann", selection="failed")
    await engine.check()
    assert [claim.task for claim in await engine.work_off()] == [3]


async def test_a_join_that_is_passed_over_stops_nothing(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2, rule=ANY))
    running = await claimed(engine)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[3])
    await finish(engine, running[1])
    assert await kinds(engine, flow) == "F R Ip"
    await finish(engine, running[2])
