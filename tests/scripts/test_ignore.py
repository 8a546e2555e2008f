"""ignore and unignore: an operator passes over tasks, or thinks better of it."""

import pytest

from flower_engine.errors import NotUnderWayError, RefusedError
from flower_engine.model.events.operator_events import TaskIgnored, TasksIgnored
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.operator_transitions import ignore, rerun, unignore
from scripts.engine import Engine, chain, fan, task


async def pass_over(engine: Engine, flow: str, *tasks: int) -> None:
    done = await ignore(engine.client, engine.partition, flow, by="bob", tasks=tasks, reason='it\'s "old"')
    assert done.tasks == tasks
    await engine.check()


async def take_back(engine: Engine, flow: str, *tasks: int, **more: object) -> None:
    await unignore(engine.client, engine.partition, flow, by="bob", tasks=tasks, **more)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await engine.check()


async def test_dependents_of_an_ignored_task_go_on(engine: Engine) -> None:
    flow = await engine.register(*chain(3))
    await engine.suspend(*await engine.claim())
    await pass_over(engine, flow, 1)
    assert [claim.task for claim in await engine.work_off()] == [2, 3]
    state = await engine.flow(flow)
    assert (state.status, state.task(1).status) == (Status.FINISH, Status.IGNORE)
    passed = state.task(1)
    assert (passed.ignored_by, passed.ignore_reason) == ("bob", 'it\'s "old"')


async def test_a_ready_task_leaves_its_lane(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2))
    await pass_over(engine, flow, 1)
    assert [claim.task for claim in await engine.claim()] == [2]


async def test_a_task_may_be_ignored_before_its_turn(engine: Engine) -> None:
    flow = await engine.register(*chain(3))
    await pass_over(engine, flow, 2)
    assert [claim.task for claim in await engine.work_off()] == [3, 1]
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_a_retrying_task_is_not_retried_any_more(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=RetryPolicy(max_attempts=9)), task(2, 1))
    await engine.fail(*await engine.claim())
    await pass_over(engine, flow, 1)
    assert "timers" not in await engine.key_names()
    assert [claim.task for claim in await engine.work_off()] == [2]


async def test_tasks_that_depend_on_each_other_may_be_ignored_together(engine: Engine) -> None:
    flow = await engine.register(*chain(4))
    await pass_over(engine, flow, 1, 2, 3)
    assert [claim.task for claim in await engine.work_off()] == [4]


async def test_ignoring_the_last_open_task_ends_the_flow(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2))
    await pass_over(engine, flow, 1, 2)
    *_, event = await engine.events()
    assert isinstance(event, TasksIgnored)
    assert (event.ranges, event.ends) == (((1, 2),), True)
    assert (await engine.flow(flow)).status is Status.FINISH
    with pytest.raises(NotUnderWayError):
        await ignore(engine.client, engine.partition, flow, by="bob", tasks=[1])


@pytest.mark.parametrize(
    ("seq", "why"), [(1, "task 1 is finished already"), (2, "task 2 is running"), (9, "it has no task 9")]
)
async def test_running_and_final_tasks_refuse(engine: Engine, seq: int, why: str) -> None:
    flow = await engine.register(*chain(3))
    await engine.finish(*await engine.claim())
    await engine.claim()
    before = await engine.raw_events()
    with pytest.raises(RefusedError, match=why):
        await ignore(engine.client, engine.partition, flow, by="bob", tasks=[3, seq])
    assert await engine.raw_events() == before


async def test_what_is_passed_over_together_is_one_event_and_one_task_has_its_own(engine: Engine) -> None:
    flow = await engine.register(*(task(number) for number in range(1, 9)))
    await engine.suspend(*await engine.claim(3))
    await pass_over(engine, flow, 6, 2, 8, 5, 1)
    await pass_over(engine, flow, 3)
    *_, many, one = await engine.events()
    assert isinstance(many, TasksIgnored)
    assert (many.ranges, many.held) == (((5, 6), (8, 8)), ((1, 2),))
    assert isinstance(one, TaskIgnored)
    assert (one.task, one.was, one.v) == (3, 2, many.v + 1)
    assert [claim.task for claim in await engine.work_off()] == [4, 7]


async def test_a_task_that_is_named_twice_is_passed_over_once(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2))
    done = await ignore(engine.client, engine.partition, flow, by="bob", tasks=[1, 1])
    assert done.tasks == (1,)
    await engine.check()


async def test_a_wide_task_may_be_ignored(engine: Engine) -> None:
    flow = await engine.register(*fan(1_200))
    await pass_over(engine, flow, 1)
    assert len(await engine.work_off()) == 1_201
    await engine.check()


async def test_an_ignored_task_waits_again_while_nothing_behind_it_has_started(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2, 1), task(3, 1, 2))
    await pass_over(engine, flow, 1)
    await take_back(engine, flow, 1)
    assert [claim.task for claim in await engine.work_off()] == [1, 2, 3]


async def test_a_flow_that_ended_by_ignoring_is_under_way_again(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await pass_over(engine, flow, 1)
    await take_back(engine, flow, 1, restored=await engine.restored(flow))
    assert len(await engine.work_off()) == 1


async def test_a_dependent_that_has_started_refuses(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    await pass_over(engine, flow, 1)
    await engine.claim()
    with pytest.raises(RefusedError, match="task 2 depends on task 1 and has gone on without it"):
        await take_back(engine, flow, 1)


async def test_only_ignored_tasks_can_be_taken_back(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    with pytest.raises(RefusedError, match="task 1 is not ignored"):
        await take_back(engine, flow, 1)


async def test_an_ignored_task_can_be_rerun(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    await pass_over(engine, flow, 1)
    await rerun(engine.client, engine.partition, flow, by="bob", selection=[1])
    await engine.check()
    assert [claim.task for claim in await engine.work_off()] == [1, 2]
