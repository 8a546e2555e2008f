"""rerun: tasks run again, alone or with all that depends on them."""

import pytest

from flower_engine.errors import MovedError, NotUnderWayError, RefusedError
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.events.operator_events import FlowRerun
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.operator_transitions import read_messages, rerun
from flower_engine.transitions.task_fields import with_parameters
from scripts.engine import Engine, chain, fan, task

DIAMOND = [task(1), task(2, 1), task(3, 1), task(4, 2, 3), task(5, 4)]


async def run_again(
    engine: Engine, flow: str, *tasks: int, selection: str = "", **more: object
) -> tuple[int, ...]:
    chosen = selection or list(tasks)
    done = await rerun(engine.client, engine.partition, flow, by="alice", selection=chosen, **more)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await engine.check()
    return done.tasks


async def statuses(engine: Engine, flow: str) -> list[int]:
    return [int(each.status) for each in (await engine.flow(flow)).tasks]


async def failed_diamond(engine: Engine) -> str:
    """Task 2 has failed for good, task 3 is finished, 4 and 5 wait."""
    flow = await engine.register(*DIAMOND)
    await engine.finish(*await engine.claim())
    two, three = await engine.claim()
    await engine.suspend(two)
    await engine.finish(three)
    return flow


async def ended(engine: Engine, *rows: TaskDefinition) -> str:
    flow = await engine.register(*rows)
    await engine.work_off()
    return flow


async def test_a_failed_task_runs_again_and_the_flow_goes_on(engine: Engine) -> None:
    flow = await failed_diamond(engine)
    assert await run_again(engine, flow, selection="failed") == (2,)
    (claim,) = await engine.claim()
    assert (claim.task, claim.attempt) == (2, 2)
    await engine.finish(claim)
    await engine.work_off()
    assert (await engine.flow(flow)).status is Status.FINISH
    event = next(event for event in await engine.events() if isinstance(event, FlowRerun))
    assert (event.by, event.suspended, list(event)) == ("alice", (2,), [2])
    await engine.check()


async def test_rerun_gives_the_whole_number_of_retries_again(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=RetryPolicy(max_attempts=2, delay_ms=0)))
    for _ in range(2):
        await engine.bring_due()
        await engine.fail(*await engine.claim())
    await run_again(engine, flow, 1)
    await engine.fail(*await engine.claim())
    assert await statuses(engine, flow) == [0]


@pytest.mark.parametrize("again", [1, 2, 4, 5])
async def test_a_finished_flow_runs_again_from_any_task(engine: Engine, again: int) -> None:
    flow = await ended(engine, *DIAMOND)
    behind = {1: [1, 2, 3, 4, 5], 2: [2, 4, 5], 4: [4, 5], 5: [5]}[again]
    restored = await engine.restored(flow)
    assert await run_again(engine, flow, again, scope="dependents", restored=restored) == tuple(behind)
    assert [claim.task for claim in await engine.work_off(slots=1)] == behind
    assert (await engine.flow(flow)).status is Status.FINISH
    await engine.check()


async def test_a_finished_flow_forgotten_by_redis_runs_again_too(engine: Engine) -> None:
    flow = await ended(engine, *DIAMOND)
    await engine.client.delete(engine.keys.ended(flow))
    restored = await engine.restored(flow)
    await run_again(engine, flow, 5, restored=restored)
    assert [claim.task for claim in await engine.work_off()] == [5]


async def test_only_the_selected_task_runs_again_if_that_is_asked_for(engine: Engine) -> None:
    flow = await ended(engine, *DIAMOND)
    restored = await engine.restored(flow)
    assert await run_again(engine, flow, 1, scope="only", restored=restored) == (1,)
    assert [claim.task for claim in await engine.work_off()] == [1]
    assert await statuses(engine, flow) == [3] * 5
    await engine.check()


async def test_a_dependent_that_would_keep_its_result_refuses(engine: Engine) -> None:
    flow = await ended(engine, *DIAMOND)
    with pytest.raises(RefusedError, match=r'task 2 depends on task 1 and has started .*scope "dependents"'):
        await run_again(engine, flow, 1, restored=await engine.restored(flow))
    assert f"flow:{flow}" not in await engine.key_names(), "it is as it was"
    await engine.check()


async def test_all_of_a_flow_may_run_again(engine: Engine) -> None:
    flow = await ended(engine, *fan(5))
    assert len(await run_again(engine, flow, selection="all", restored=await engine.restored(flow))) == 7
    assert len(await engine.work_off()) == 7
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_a_running_task_refuses(engine: Engine) -> None:
    flow = await engine.register(*DIAMOND)
    await engine.claim()
    with pytest.raises(RefusedError, match=f"flow {flow}: task 1 is running"):
        await run_again(engine, flow, 1)


async def test_a_dependent_that_runs_refuses_even_if_only_the_task_is_asked_for(engine: Engine) -> None:
    flow = await engine.register(*chain(3))
    await engine.finish(*await engine.claim())
    await engine.claim()
    with pytest.raises(RefusedError, match="task 2 depends on task 1 and is running"):
        await run_again(engine, flow, 1, scope="only")


async def test_a_waiting_task_refuses(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    with pytest.raises(RefusedError, match="task 2 waits already"):
        await run_again(engine, flow, 2)


async def test_an_unknown_task_refuses(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    with pytest.raises(RefusedError, match="it has no task 3"):
        await run_again(engine, flow, 3)


async def test_nothing_failed_refuses(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    with pytest.raises(RefusedError, match="nothing matches the selection 'failed'"):
        await run_again(engine, flow, selection="failed")


async def test_a_flow_that_is_not_in_redis_asks_for_its_state(engine: Engine) -> None:
    flow = await ended(engine, task(1))
    with pytest.raises(NotUnderWayError):
        await run_again(engine, flow, 1)


async def test_a_state_from_before_a_later_run_is_refused(engine: Engine) -> None:
    flow = await ended(engine, task(1))
    old = await engine.restored(flow)
    await run_again(engine, flow, 1, restored=old)
    await engine.work_off()
    with pytest.raises(MovedError, match="version 6 now"):
        await run_again(engine, flow, 1, restored=old)


async def test_another_version_than_the_one_looked_at_is_refused(engine: Engine) -> None:
    flow = await failed_diamond(engine)
    version = (await engine.flow(flow)).version
    with pytest.raises(MovedError):
        await run_again(engine, flow, selection="failed", version=version - 1)
    assert await run_again(engine, flow, selection="failed", version=version) == (2,)


async def test_a_retrying_task_runs_again_at_once(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=RetryPolicy(max_attempts=9, delay_ms=60_000)))
    await engine.fail(*await engine.claim())
    assert await run_again(engine, flow, 1) == (1,)
    (claim,) = await engine.claim()
    assert claim.attempt == 2
    assert "timers" not in await engine.key_names()


async def test_tasks_that_wait_for_what_runs_again_leave_their_lanes(engine: Engine) -> None:
    flow = await engine.register(*chain(3))
    await engine.finish(*await engine.claim())
    assert await run_again(engine, flow, 1) == (1,)
    assert [claim.task for claim in await engine.work_off()] == [1, 2, 3]


async def test_a_retrying_dependent_waits_for_what_runs_again(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2, 1, retry=RetryPolicy(max_attempts=9, delay_ms=60_000)))
    await engine.finish(*await engine.claim())
    await engine.fail(*await engine.claim())
    await run_again(engine, flow, 1)
    assert [(claim.task, claim.attempt) for claim in await engine.work_off()] == [(1, 2), (2, 2)]
    await engine.check()


async def test_new_parameters_replace_those_named(engine: Engine) -> None:
    flow = await failed_diamond(engine)
    messages = await read_messages(engine.client, engine.partition, flow, [2])
    assert messages is not None
    new = with_parameters(messages[2], {"PATH": "/right", "DEPTH": 2})
    await run_again(engine, flow, 2, messages={2: (messages[2], new)})
    (claim,) = await engine.claim()
    assert claim.message == new
    assert (await engine.flow(flow)).task(2).planned.parameters == {"PATH": "/right", "DEPTH": 2}
    with pytest.raises(RefusedError):
        await run_again(engine, flow, 3, messages={3: (b"other", new)}, scope="only")


async def test_a_suspect_that_runs_again_is_no_suspect_any_more(engine: Engine) -> None:
    flow = await engine.register(task(1))
    for _ in range(3):
        await engine.crash(*await engine.claim())
    await run_again(engine, flow, 1)
    assert [claim.attempt for claim in await engine.claim()] == [4]
    assert "suspects" not in await engine.key_names()


async def test_a_wide_flow_runs_again(engine: Engine) -> None:
    flow = await ended(engine, *fan(1_500))
    await run_again(engine, flow, 1, scope="dependents", restored=await engine.restored(flow))
    assert len(await engine.work_off()) == 1_502
    await engine.check()


async def test_a_wide_flow_runs_again_while_its_fan_out_is_being_released(engine: Engine) -> None:
    flow = await engine.register(*fan(1_500))
    await engine.finish(*await engine.claim(0 + 1))
    assert await run_again(engine, flow, 1) == (1,)
    assert len(await engine.work_off()) == 1_502
    await engine.check()


def fan_and_one(width: int) -> list[TaskDefinition]:
    """A wide fan, and a task beside it that fails."""
    return [*fan(width), task(width + 3)]


async def test_another_task_runs_again_while_a_fan_out_is_being_released(engine: Engine) -> None:
    flow = await engine.register(*fan_and_one(1_500))
    one, beside = sorted(await engine.claim(2), key=lambda claim: claim.task)
    await engine.suspend(beside)
    await engine.finish(one)
    assert await run_again(engine, flow, 1_503) == (1_503,)
    assert len(await engine.work_off()) == 1_502
    await engine.check()
    assert (await engine.flow(flow)).status is Status.FINISH


@pytest.mark.parametrize("scope", ["", "only", "dependents"])
async def test_a_refused_rerun_during_a_fan_out_loses_no_task(engine: Engine, scope: str) -> None:
    flow = await engine.register(*fan_and_one(1_500))
    one, beside = sorted(await engine.claim(2), key=lambda claim: claim.task)
    await engine.finish(one)
    with pytest.raises(RefusedError, match="task 1503 is running"):
        await run_again(engine, flow, 1_503, scope=scope)
    await engine.check()
    await engine.finish(beside)
    assert len(await engine.work_off()) == 1_501
    await engine.check()


async def test_a_refused_rerun_while_wide_roots_are_being_released_loses_none(engine: Engine) -> None:
    flow = await engine.register(*[task(seq) for seq in range(1, 1_201)])
    with pytest.raises(RefusedError, match="task 7 waits already"):
        await run_again(engine, flow, 7)
    assert len(await engine.work_off()) == 1_200
    await engine.check()
