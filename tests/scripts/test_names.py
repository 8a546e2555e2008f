"""Any name that a definition may have works in every transition, and Python and Lua build the same keys."""

from pathlib import Path

import pytest

from flower_engine.log.client import send
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.flow_control.lanes import lane_of, share_of_lane
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions.installation_transitions import halt
from flower_engine.transitions.worker_transitions import Outcome, queue_name
from scripts.engine import Engine, task

DOCS = Path(__file__).parents[2] / "docs" / "keys.md"
NAMES = [
    "plain",
    "two words",
    "a:b",
    "50%",
    "%3A",
    "x,y",
    "in/out",
    "ünïcode 花",
    "{flower:9}",
    "-1",
    "'\"\\",
    "x" * 256,
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_queue_may_have_any_name(engine: Engine, name: str) -> None:
    await engine.attend(name)
    await engine.register(task(1, queue=name), task(2, 1, queue=name))
    first = await engine.call("w1", 1, wanted=5, queues=[name])
    assert await engine.call("w1", 1, wanted=5, queues=[name]) == first
    assert [queue_name(claim) for claim in first.claims] == [name]
    assert engine.heartbeat("w1", *first.claims) == []
    assert await engine.finish(*first.claims) == ["ok"]
    held = await engine.claim(queues=[name])
    await engine.tick()
    await engine.lose(*held)
    (lapsed,) = (await engine.lapse(queues=[name])).lapses
    assert (lapsed.queue, lapsed.task) == (name, 2)
    await engine.work_off("w2", queues=[name])


@pytest.mark.parametrize("name", NAMES)
async def test_a_workflow_and_a_program_may_have_any_name(engine: Engine, name: str) -> None:
    await engine.register(task(1, program=name), task(2, 1, program=name), workflow=name)
    ran = await engine.work_off(slots=1)
    assert [claim.task for claim in ran] == [1, 2]


@pytest.mark.parametrize("name", NAMES)
async def test_the_keys_that_lua_builds_are_those_that_python_names(engine: Engine, name: str) -> None:
    keys = engine.keys
    await engine.attend(name)
    ended = await engine.register(task(1, queue=name), workflow=name)
    await engine.work_off(queues=[name])
    wide = [task(seq, queue=name, program=name, priority=-7) for seq in range(501)]
    flow = await engine.register(*wide, workflow=name)
    await engine.register(task(1, queue=name, program=name, priority=-7), workflow=name)
    engine.heartbeat("w1")
    prefix = keys.meta.removesuffix("meta")
    lane = lane_of(name, PlannedTask(seq=1, task_seq=1, program=name, queue=name, priority=-7))
    assert {prefix + key for key in await engine.key_names()} >= {
        keys.meta,
        keys.log,
        keys.fanout,
        keys.queues,
        keys.workers,
        keys.endings,
        keys.flow(flow),
        keys.ended(ended),
        keys.work(name),
        keys.ready(name),
        keys.turns(name),
        keys.share(share_of_lane(lane)),
        keys.lane(lane),
        keys.bell(name, name),
        keys.worker("w1"),
        keys.call("w1"),
    }


async def test_no_transition_makes_a_key_that_python_does_not_name(engine: Engine) -> None:
    """Every kind of key has a builder in ``Keys``; ``tests/unit/test_docs.py`` wants each documented."""
    await engine.register(task(1), *(task(seq, 1) for seq in range(2, 1_000)))
    held = await engine.claim()
    engine.heartbeat("w1", *held)
    outcomes = [Outcome(claim, OutcomeKind.FINISHED) for claim in held]
    await engine.exchange(outcomes=outcomes, wanted=10)
    await engine.register(task(1))
    await engine.lapse()
    kinds = {name.partition(":")[0] for name in await engine.key_names()}
    assert kinds <= {name for name in dir(engine.keys) if not name.startswith("_")}


async def test_every_field_of_meta_and_of_a_flow_is_documented(engine: Engine) -> None:
    await engine.register(task(1), *(task(seq, 1) for seq in range(2, 1_000)), task(1_000, 1, 2))
    outcomes = [Outcome(claim, OutcomeKind.FINISHED) for claim in await engine.claim()]
    await engine.exchange(outcomes=outcomes, wanted=10)
    flow = await engine.register(*(task(seq) for seq in range(501)))
    await engine.lapse()
    await halt(engine.client, engine.partition, "for this test")
    meta: dict[bytes, bytes] = await send(engine.client, "HGETALL", engine.keys.meta)
    await send(engine.client, "HSET", engine.keys.meta, "generation", "1")
    fields: dict[bytes, bytes] = await send(engine.client, "HGETALL", engine.keys.flow(flow))
    page = DOCS.read_text()
    letters = {name.decode().rstrip("0123456789") for name in fields}
    assert {name for name in meta if f"`{name.decode()}`" not in page} == set()
    assert {
        letter for letter in letters if f"| `{letter}` |" not in page and f"| `{letter}N` |" not in page
    } == set()
