"""What a version of a program refuses waits for another version, and is given to none that refused it."""

from collections.abc import Sequence

import pytest

from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskReturned, TaskSuspended
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.operator_transitions import prioritise, rerun
from flower_engine.transitions.worker_transitions import Claim, Exchange, Outcome
from scripts.engine import AN_ERROR, Engine, task


async def call(
    engine: Engine, worker: str, *outcomes: Outcome, wanted: int = 10, programs: Sequence[str] = ("A",)
) -> Exchange:
    """By a worker whose version has its own name."""
    return await engine.exchange(
        worker, outcomes=outcomes, wanted=wanted, programs=programs, version=f"v{worker}"
    )


def refusal(claim: Claim, worker: str, *others: str) -> Outcome:
    versions = tuple(f"v{other}" for other in others)
    return Outcome(claim, OutcomeKind.UNFIT, AN_ERROR, unfit=(f"v{worker}",), others=versions)


async def test_a_version_that_refused_a_task_is_not_given_it_again(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (claim,) = (await call(engine, "1")).claims
    got = await call(engine, "1", refusal(claim, "1", "2"))
    assert (got.words, got.claims) == (["ok"], [])
    state = (await engine.flows())[flow].task(1)
    assert (state.status, state.failures, state.lost) == (Status.WAIT, 0, 0)
    (event,) = [event for event in await engine.events() if isinstance(event, TaskReturned)]
    assert (event.unfit, event.error and event.error.type) == (("v1",), "E")
    assert not (await call(engine, "1")).claims
    assert not (await call(engine, "3", programs=("B",))).claims
    (again,) = (await call(engine, "2")).claims
    assert again.attempt == 2
    await call(engine, "2", Outcome(again, OutcomeKind.FINISHED), wanted=0)
    assert (await engine.flows())[flow].ended_ms is not None
    assert not await send(engine.client, "SMEMBERS", engine.keys.split("default"))  # its board is gone


async def test_when_every_version_has_refused_it_it_is_suspended(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (claim,) = (await call(engine, "1")).claims
    await call(engine, "1", refusal(claim, "1", "2", "3"))
    (claim,) = (await call(engine, "2")).claims
    await call(engine, "2", refusal(claim, "2", "1", "3"))  # which does not know who refused it before
    assert not (await call(engine, "2")).claims and not (await call(engine, "1")).claims
    (claim,) = (await call(engine, "3")).claims
    await call(engine, "3", refusal(claim, "3", "1", "2"))
    state = (await engine.flows())[flow].task(1)
    assert (state.status, state.attempt) == (Status.SUSPEND, 3)
    assert sum(isinstance(event, TaskSuspended) for event in await engine.events()) == 1


async def test_where_no_other_version_is_left_it_is_taken_once_more_and_suspended(engine: Engine) -> None:
    for worker in ("1", "2"):
        engine.heartbeat(worker, signatures=f"v{worker}")
    flow = await engine.register(task(1))
    (claim,) = (await call(engine, "1")).claims
    await call(engine, "1", refusal(claim, "1", "2"))
    assert not (await call(engine, "1")).claims
    engine.heartbeat("2", signatures="v2", programs=["B"])
    await send(engine.client, "SET", engine.keys.worker("3"), b"nonsense")
    await send(engine.client, "ZADD", engine.keys.workers, 1, "3")
    (claim,) = (await call(engine, "1")).claims
    await call(engine, "1", Outcome(claim, OutcomeKind.SUSPENDED, AN_ERROR), wanted=0)
    assert (await engine.flows())[flow].task(1).status is Status.SUSPEND


async def test_a_refusal_counts_once_and_while_its_lease_is_current(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = (await call(engine, "1")).claims
    number = 2  # the worker's next call
    outcomes = [refusal(claim, "1", "2")]
    first = await engine.call("1", number, outcomes=outcomes, wanted=1, version="v1")
    assert await engine.call("1", number, outcomes=outcomes, wanted=1, version="v1") == first
    late = await engine.call("1", number + 1, outcomes=outcomes, version="v1")
    assert late.words == ["stale"]


async def test_others_that_wait_go_on_and_limits_and_turns_hold(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=1))
    first, second = await engine.register_many(2, task(1))
    (claim,) = (await call(engine, "1")).claims
    assert claim.flow == first
    got = await call(engine, "1", refusal(claim, "1", "2"))
    (other,) = got.claims  # the limit is that of the program, whatever the lane
    assert other.flow == second
    assert not (await call(engine, "2")).claims
    await call(engine, "1", Outcome(other, OutcomeKind.FINISHED), wanted=0)
    (again,) = (await call(engine, "2")).claims
    assert again.flow == first


async def test_a_task_that_runs_again_from_the_start_is_kept_from_nobody(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (claim,) = (await call(engine, "1")).claims
    await call(engine, "1", refusal(claim, "1", "2"), wanted=0)
    await prioritise(engine.client, engine.partition, flow, by="eve", priority=-5)
    assert not (await call(engine, "1")).claims
    (claim,) = (await call(engine, "2")).claims
    await call(engine, "2", Outcome(claim, OutcomeKind.SUSPENDED, AN_ERROR), wanted=0)
    await rerun(engine.client, engine.partition, flow, by="eve", selection=[1])
    assert (await call(engine, "1")).claims


@pytest.mark.parametrize("lose_first", [False, True])
async def test_a_suspect_is_one_for_every_version(engine: Engine, lose_first: bool) -> None:
    await engine.register(task(1))
    (claim,) = (await call(engine, "1")).claims

    async def lose(claim: Claim, worker: str) -> None:
        crashed = Outcome(claim, OutcomeKind.CRASHED, b'{"type":"ProcessLost","message":"gone"}', 2)
        await call(engine, worker, crashed, wanted=0)

    if lose_first:
        await lose(claim, "1")
        (claim,) = (await call(engine, "1")).claims
        await call(engine, "1", refusal(claim, "1", "2"), wanted=0)
    else:
        await call(engine, "1", refusal(claim, "1", "2"), wanted=0)
        (claim,) = (await call(engine, "2")).claims
        await lose(claim, "2")
    assert not (await call(engine, "1")).claims
    (claim,) = (await call(engine, "2")).claims
    held = await send(engine.client, "HKEYS", engine.keys.suspects)
    assert held == [b"2"]


async def test_all_workers_are_woken_as_the_first_may_be_one_that_refused(engine: Engine) -> None:
    for worker in ("1", "2", "3"):
        engine.heartbeat(worker)
    await engine.register(task(1))
    (claim,) = (await call(engine, "1")).claims
    bell = engine.keys.bell("default", "A")
    await send(engine.client, "DEL", bell)
    await call(engine, "1", refusal(claim, "1", "2"))
    assert await send(engine.client, "LLEN", bell) == 3
