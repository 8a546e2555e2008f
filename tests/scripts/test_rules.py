"""Rules on a real server: the cases that people met elsewhere, each named after its situation."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import RefusedError
from flower_engine.flows.forks import plan_of_fork
from flower_engine.model.definitions.definition import Keying, PlannedTask
from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import TaskGivenUp, TasksPassed
from flower_engine.model.events.wait_events import TaskAwaiting
from flower_engine.model.folding.kept_results import INLINE
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.operator_transitions import cancel, ignore, pause, rerun, resume, unignore
from flower_engine.transitions.park_transitions import park
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.worker_transitions import Claim
from scripts.engine import Engine, task

GIVE_UP: dict[str, Any] = {"on_failure": "give_up"}


async def kinds(engine: Engine, flow: str) -> str:
    """How the tasks of a flow stand: the first letter of the status, and how each has ended."""
    state = await engine.flow(flow)
    return " ".join(task.status.word[0] + task.ended_as for task in state.tasks)


async def test_what_is_opened_and_passed_over_at_once_leaves_what_is_behind_it_in_its_lane(
    engine: Engine,
) -> None:
    flow = await engine.register(
        *(task(1), task(2, 1, rule="failed"), task(3, 2, rule="finished"), task(4, 1, 3), task(5, 3, 4))
    )
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[3])
    await engine.finish(*await engine.claim())
    assert await kinds(engine, flow) == "F In Ip W W"
    await unignore(engine.client, engine.partition, flow, by="ann", tasks=[3])
    await engine.check()
    assert await kinds(engine, flow) == "F In In W W"
    assert [claim.task for claim in await engine.work_off()] == [4, 5]


async def claimed(engine: Engine) -> dict[int, Claim]:
    return {claim.task: claim for claim in await engine.claim()}


async def test_a_join_behind_a_branch_starts_with_the_branch_that_was_taken(engine: Engine) -> None:
    """airflow#39801, #59289: a branch that is not taken skips the join, too."""
    flow = await engine.register(
        task(1), task(2, 1, rule="failed"), task(3, 1), task(4, 2, 3), task(5, 4), task(6, 2)
    )
    await engine.finish(*await engine.claim())
    assert await kinds(engine, flow) == "F In W W W In"
    assert [claim.task for claim in await engine.work_off()] == [3, 4, 5]
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_a_failure_that_was_cleared_leaves_nothing_stale_behind(engine: Engine) -> None:
    """airflow#31510, #52640: what failed upstream stays so when its cause is cleared and succeeds."""
    flow = await engine.register(task(1, **GIVE_UP), task(2, 1), task(3, 2), task(4, 3, rule="settled"))
    await engine.suspend(*await engine.claim())
    assert await kinds(engine, flow) == "Sx In In W"
    await engine.work_off()
    ended = await engine.flow(flow)
    assert (ended.status, ended.left) == (Status.SUSPEND, 0)
    assert ended.ended_ms is not None
    restored = await engine.restored(flow)
    await rerun(
        engine.client, engine.partition, flow, by="bob", selection="failed", scope="only", restored=restored
    )
    assert await kinds(engine, flow) == "W W W F"
    assert [claim.task for claim in await engine.work_off()] == [1, 2, 3]
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_a_retry_sees_the_results_that_its_first_attempt_saw(engine: Engine) -> None:
    """prefect#22259: a retry takes the result of another child that has ended meanwhile."""
    retry = RetryPolicy(max_attempts=3, delay_ms=0, jitter=0.0)
    tasks = [
        PlannedTask(seq=1, task_seq=1, program="A"),
        PlannedTask(seq=2, task_seq=2, program="A"),
        PlannedTask(
            seq=3,
            task_seq=3,
            program="A",
            depends_on=(1, 2),
            rule="any",
            retry=retry,
            parameters={"a": {"$from": 1, "optional": True}, "b": {"$from": 2, "optional": True}},
            reads={"1": 1, "2": 2},
            refs=True,
        ),
    ]
    registered = await engine.start(FlowPlan("w", tasks))
    running = await claimed(engine)
    await engine.finish(running[2], payload=b'"two"')
    (first,) = await engine.claim()
    await engine.finish(running[1], payload=b'"one"')
    await engine.fail(first)
    await engine.bring_due()
    got = await engine.exchange(wanted=1)
    (again,) = got.claims
    assert (again.task, again.attempt) == (3, 2)
    for claim in (first, again):
        assert msgspec.json.decode(claim.message)["used"] == [2]
    assert got.results[registered.flow, 2] == INLINE + b'"two"'
    starts = [event for event in await engine.events() if isinstance(event, TaskStarted) and event.task == 3]
    assert [start.used for start in starts] == [(2,), ()]
    await engine.finish(again)


async def test_what_a_rule_did_not_use_does_not_stand_in_the_way_of_a_rerun(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2, rule="any"))
    running = await claimed(engine)
    await engine.finish(running[1])
    (third,) = await engine.claim()
    await engine.finish(running[2])
    await rerun(engine.client, engine.partition, flow, by="bob", selection=[2])
    with pytest.raises(RefusedError, match="running on its result"):
        await rerun(engine.client, engine.partition, flow, by="bob", selection=[1])
    await engine.finish(third)
    await engine.work_off()


async def test_a_flow_in_which_something_is_given_up_ends_and_asks_for_a_look(engine: Engine) -> None:
    flow = await engine.register(task(1, **GIVE_UP), task(2))
    running = await claimed(engine)
    await engine.suspend(running[1])
    assert (await engine.flow(flow)).ended_ms is None
    await engine.finish(running[2])
    ended = await engine.flow(flow)
    assert (ended.status, ended.ended_ms is not None) == (Status.SUSPEND, True)
    with pytest.raises(RefusedError):
        await ignore(engine.client, engine.partition, (await engine.register(task(1))), by="bob", tasks=[7])
    await engine.work_off()


@pytest.mark.parametrize("operation", ["rerun", "ignore", "cancel", "nothing"])
async def test_what_is_held_for_a_time_is_given_up_unless_somebody_decides(
    engine: Engine, operation: str
) -> None:
    flow = await engine.register(task(1, on_failure="hold:7200"), task(2, 1))
    await engine.suspend(*await engine.claim())
    where = (engine.client, engine.partition, flow)
    assert await park(engine.client, engine.partition, [(flow, (await engine.flow(flow)).version)]) == []
    if operation == "rerun":
        await rerun(*where, by="bob", selection="failed")
    elif operation == "ignore":
        await ignore(*where, by="bob", tasks=[1])
    elif operation == "cancel":
        await cancel(*where, by="bob")
    else:
        await pause(*where, by="bob")  # it ticks on
    await engine.bring_due()
    given_up = [event for event in await engine.events() if isinstance(event, TaskGivenUp)]
    assert [(event.was, event.by, event.task) for event in given_up] == (
        [(2, "hold", 1)] if operation == "nothing" else []
    )
    if operation != "cancel":
        await engine.work_off()
    assert (await engine.flow(flow)).ended_ms is not None


async def test_readers_of_what_failed_and_is_passed_over_get_its_stand_in(engine: Engine) -> None:
    tasks = [
        PlannedTask(seq=1, task_seq=1, program="A", on_failure="pass", stand_in={"rows": 0}),
        PlannedTask(
            seq=2,
            task_seq=2,
            program="A",
            depends_on=(1,),
            parameters={"a": {"$from": 1}},
            reads={"1": 1},
            refs=True,
        ),
    ]
    registered = await engine.start(FlowPlan("w", tasks))
    await engine.suspend(*await engine.claim())
    got = await engine.exchange(wanted=1)
    assert got.results[registered.flow, 1] == INLINE + b'{"rows":0}'
    state = await engine.flow(registered.flow)
    assert (state.task(1).ignored_by, state.task(1).ignore_reason) == ("on_failure", "E: no")
    assert state.task(1).error is not None
    await engine.finish(*got.claims)


async def test_a_clean_up_that_began_because_of_a_failure_begins_again_with_it(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2, 1, rule="failed"), task(3, 2))
    where = (engine.client, engine.partition, flow)
    await engine.suspend(*await engine.claim())
    (clean_up,) = await engine.claim()
    assert clean_up.task == 2
    with pytest.raises(RefusedError, match="task 2 depends on task 1 and is running"):
        await rerun(*where, by="bob", selection=[1])
    await engine.finish(clean_up)
    assert await kinds(engine, flow) == "S F W"
    await rerun(*where, by="bob", selection=[1])
    assert await kinds(engine, flow) == "W W W"
    assert [claim.task for claim in await engine.work_off()] == [1]
    assert await kinds(engine, flow) == "F In In"


async def test_a_clean_up_that_has_not_begun_goes_when_the_failure_is_passed_over(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2, 1, rule="failed"), task(3, 1))
    await engine.suspend(*await engine.claim())
    await ignore(engine.client, engine.partition, flow, by="bob", tasks=[1])
    assert await kinds(engine, flow) == "Ip In W"
    assert [claim.task for claim in await engine.work_off()] == [3]


async def test_what_rules_passed_over_comes_back_with_its_cause_only(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2, 1, rule="finished"), task(3, 2), task(4))
    where = (engine.client, engine.partition, flow)
    await ignore(*where, by="bob", tasks=[1])
    assert await kinds(engine, flow) == "Ip In In W"
    with pytest.raises(RefusedError, match="the rule of task 3 passes over it because of task 2"):
        await rerun(*where, by="bob", selection=[3])
    with pytest.raises(RefusedError, match="task 2 is not ignored"):
        await unignore(*where, by="bob", tasks=[2])
    await unignore(*where, by="bob", tasks=[1])
    assert await kinds(engine, flow) == "W W W W"
    assert {claim.task for claim in await engine.work_off()} == {1, 2, 3, 4}


async def test_a_wide_passing_over_goes_in_steps_and_a_cause_is_told(engine: Engine) -> None:
    width = 1_300
    flow = await engine.register(
        task(1, **GIVE_UP), *(task(seq, 1) for seq in range(2, width + 2)), task(width + 2, 2, rule="settled")
    )
    await engine.suspend(*await engine.claim())
    assert [claim.task for claim in await engine.work_off()] == [width + 2]
    passed = [event for event in await engine.events() if isinstance(event, TasksPassed)]
    assert sum(len(list(event.tasks)) for event in passed) == width
    assert max(len(list(event.tasks)) for event in passed) <= 1_000
    assert {event.cause for event in passed} == {1}
    assert (await engine.flow(flow)).ended_ms is not None


async def test_a_paused_flow_starts_nothing_because_of_a_rule(engine: Engine) -> None:
    flow = await engine.register(task(1, **GIVE_UP), task(2, 1, rule="failed"), task(3, 1))
    claims = await engine.claim()
    await pause(engine.client, engine.partition, flow, by="bob")
    await engine.suspend(*claims)
    assert await engine.claim() == []
    assert await kinds(engine, flow) == "Sx W In"
    await resume(engine.client, engine.partition, flow, by="bob")
    assert [claim.task for claim in await engine.work_off()] == [2]


async def test_a_fork_decides_anew_what_rules_passed_over(engine: Engine) -> None:
    flow = await engine.register(
        task(1, **GIVE_UP), task(2), task(3, 1), task(4, 2, rule="failed"), task(5, 3, 4, rule="settled")
    )
    running = await claimed(engine)
    await engine.suspend(running[1])
    await engine.finish(running[2])
    assert [claim.task for claim in await engine.work_off()] == [5]
    plan = plan_of_fork(await engine.flow(flow), [5], {}, Keying())
    fork = (await engine.start(plan)).flow
    assert await kinds(engine, fork) == "W F W In W"  # what was given up runs anew, and all behind it
    assert [claim.task for claim in await engine.work_off()] == [1, 3, 5]


async def test_a_task_that_is_too_heavy_for_its_workers_is_given_up_as_it_says(engine: Engine) -> None:
    flow = await engine.register(task(1, **GIVE_UP), task(2, 1, rule="failed"))
    await engine.crash(*await engine.claim(), max_lost=1)
    assert await kinds(engine, flow) == "Sx W"
    assert (await engine.flow(flow)).task(1).lost == 1
    assert [claim.task for claim in await engine.work_off()] == [2]


async def test_what_waits_for_the_world_has_a_rule_as_any_task(engine: Engine) -> None:
    """A wait begins with what its rule picked, and what nobody answers in time is given up as it says."""
    engine.programs.add("A")
    flow = await engine.register(
        task(1),
        task(2),
        task(3, 1, 2, program="@sleep", parameters={"seconds": 0.001}, rule="any"),
        task(4, 1, program="@event", parameters={"name": "paid", "timeout_seconds": 3600}, **GIVE_UP),
        task(5, 4, rule="failed"),
        task(6, 4),
        task(7, 1, program="@sleep", parameters={"seconds": 3600}, rule="failed"),
    )
    running = await claimed(engine)
    await engine.finish(running[1])
    awaiting = {event.task: event for event in await engine.events() if isinstance(event, TaskAwaiting)}
    assert (awaiting.keys(), awaiting[3].used) == ({3, 4}, (1,))
    assert await kinds(engine, flow) == "F R W W W W In"
    await engine.bring_due()
    assert await kinds(engine, flow) == "F R F Sx W In In"
    await engine.finish(running[2])
    assert [claim.task for claim in await engine.work_off()] == [5]
    assert (await engine.flow(flow)).ended_ms is not None
