"""Notes of what is still to be released, of a flow that an operator changes as a whole."""

import pytest

from flower_engine.log.client import send
from flower_engine.transitions import worker_transitions
from flower_engine.transitions.operator_transitions import pause, resume
from scripts.engine import Engine, task
from scripts.small_steps import in_small

MANY = 12


async def _taken_singly(engine: Engine) -> int:
    stats = await send(engine.client, "INFO", "commandstats")
    return stats.get("cmdstat_lrem", {}).get("calls", 0)


async def _notes(engine: Engine) -> list[str]:
    """Whose they are."""
    return [note.decode()[:36] for note in await send(engine.client, "LRANGE", engine.keys.fanout, 0, -1)]


async def test_many_notes_of_a_flow_go_off_the_list_together_and_those_of_others_stay_as_they_are(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small(monkeypatch, worker_transitions, WIDE_BYTES="1")
    behind = [task(MANY + seq, *range(1, MANY + 1)) for seq in (1, 2)]
    flow = await engine.register(*(task(seq) for seq in range(1, MANY + 1)), *behind)
    claims = await engine.claim()
    other = await engine.register(task(1), task(2, 1), task(3, 1))
    (of_other,) = await engine.claim()
    await engine.finish(claims[0], of_other, *claims[1:])
    assert await _notes(engine) == [flow, other, *[flow] * (MANY - 1)]
    before = await _taken_singly(engine)
    await pause(engine.client, engine.partition, flow, by="ann")
    assert await _notes(engine) == [other]
    assert await _taken_singly(engine) == before, "to find one takes as long as the list is"
    await engine.check()
    await resume(engine.client, engine.partition, flow, by="ann")
    claims = await engine.work_off()
    assert sorted((claim.flow == flow, claim.task) for claim in claims) == [
        *[(False, 2), (False, 3)],
        *[(True, MANY + 1), (True, MANY + 2)],
    ]
    await engine.check()
