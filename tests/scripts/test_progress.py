"""Progress: told with heartbeats, kept for the next attempt."""

import msgspec

from flower_engine.model.events.attempt_events import TaskProgressed
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.programs.context import Progress
from flower_engine.transitions.operator_transitions import cancel, rerun
from flower_engine.transitions.worker_transitions import Claim, Outcome, Reported
from scripts.engine import Engine, task

HALF = Progress(0.5, 'row "7" \\ of 14')


def tell(engine: Engine, claim: Claim, progress: Progress) -> list[tuple[bytes, bytes]]:
    return engine.heartbeat("w1", claim, progress=[Reported(claim, msgspec.json.encode(progress))])


async def told(engine: Engine) -> list[tuple[float | None, str]]:
    return [(e.fraction, e.note) for e in await engine.events() if isinstance(e, TaskProgressed)]


async def test_progress_is_an_event_of_the_attempt(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    assert tell(engine, claim, HALF) == []
    assert await told(engine) == [(0.5, 'row "7" \\ of 14')]
    progress = (await engine.flow(flow)).task(1).progress
    assert progress is not None
    assert progress.attempt == 1
    await engine.check()


async def test_progress_told_twice_is_logged_once(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    for progress in (HALF, HALF, Progress(), Progress()):
        tell(engine, claim, progress)
    assert await told(engine) == [(0.5, 'row "7" \\ of 14'), (None, "")]


async def test_progress_survives_into_the_next_attempt(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    assert claim.progress == b""
    tell(engine, claim, HALF)
    await engine.give_back(claim)
    (again,) = await engine.claim()
    assert again.progress == b'{"fraction":0.5,"note":"row \\"7\\" \\\\ of 14"}'


async def test_progress_of_a_lost_lease_is_not_logged(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.tick()
    (claim,) = await engine.claim()
    await engine.lose(claim)
    await engine.lapse()
    assert tell(engine, claim, HALF) == [(claim.queue, claim.lease)]
    assert await told(engine) == []
    assert (await engine.flow(flow)).task(1).status is Status.WAIT
    await engine.check()


async def test_progress_of_a_flow_that_has_ended_is_not_logged(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    await engine.finish(claim)
    tell(engine, claim, HALF)
    assert await told(engine) == []
    await engine.check()


async def test_progress_that_no_heartbeat_told_comes_with_the_outcome(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    outcome = Outcome(claim, OutcomeKind.RETURNED, progress=b'{"fraction":0.25}')
    assert (await engine.exchange(outcomes=[outcome])).words == ["ok"]
    (again,) = await engine.claim()
    assert again.progress == b'{"fraction":0.25}'
    await engine.check()


async def test_progress_survives_a_cancel(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    tell(engine, claim, HALF)
    await cancel(engine.client, engine.partition, flow, by="eve")
    restored = await engine.restored(flow)
    await rerun(engine.client, engine.partition, flow, by="eve", selection="failed", restored=restored)
    (again,) = await engine.claim()
    assert again.progress == msgspec.json.encode(HALF)
    await engine.check()
