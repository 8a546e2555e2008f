"""What data between tasks costs Redis: as many commands as without."""

from typing import Any

import pytest

from flower_engine.log.client import send
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions.operator_transitions import read_messages, rerun
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.task_fields import with_parameters
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import Engine
from scripts.test_kept_results import pipe, reader

LENGTH, FLOWS = 6, 20


def plain(length: int) -> list[PlannedTask]:
    """Each task waits for the one before it, and reads nothing."""
    return [reader(1), *(reader(seq, after=(seq - 1,)) for seq in range(2, length + 1))]


async def _commands_within(engine: Engine) -> dict[str, int]:
    """How often each command ran so far that only scripts send."""
    stats: dict[str, Any] = await send(engine.client, "INFO", "commandstats")
    names = ("hmget", "hget", "hset", "hdel", "hincrby", "xadd", "zadd")
    return {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names}


async def _commands_for(engine: Engine, tasks: list[PlannedTask], slots: int) -> dict[str, int]:
    """Those that it takes to work the flows off, so many tasks at once."""
    for _ in range(FLOWS):
        await engine.start(FlowPlan("etl", tasks))
    before = await _commands_within(engine)
    claims = await engine.claim(slots)
    while claims:
        outcomes = [Outcome(claim, OutcomeKind.FINISHED, b'"0123456789"') for claim in claims]
        claims = (await engine.exchange(outcomes=outcomes, wanted=slots)).claims
    after = await _commands_within(engine)
    return {name: after[name] - before[name] for name in before}


@pytest.mark.parametrize("slots", [FLOWS, 7])
async def test_tasks_that_read_each_other_cost_as_many_commands_as_those_that_do_not(
    engine: Engine, slots: int
) -> None:
    without, with_data = [await _commands_for(engine, make(LENGTH), slots) for make in (plain, pipe)]
    # What flows keep is counted in meta, once a call; a claim in a later call reads what its task reads.
    calls = -(-FLOWS * LENGTH // slots) + 1
    meta, others = (
        with_data.pop("hincrby") - without.pop("hincrby"),
        with_data.pop("hmget") - without.pop("hmget"),
    )
    assert with_data == without
    assert 0 <= meta <= calls
    assert 0 <= others <= (0 if slots == FLOWS else FLOWS)


async def test_the_long_message_of_a_task_that_reads_very_many_is_left_to_its_claim(engine: Engine) -> None:
    async def links(flow: str, seq: int) -> bytes:
        return await send(engine.client, "HGET", engine.keys.flow(flow), f"d{seq}")

    for width, mark in ((16, b""), (17, b"<!")):
        tasks = [*(reader(seq) for seq in range(1, width + 1)), reader(width + 1, *range(1, width + 1))]
        flow = (await engine.start(FlowPlan("etl", tasks))).flow
        assert await links(flow, 1) == b"%d" % (width + 1) + mark
        await engine.work_off()


async def test_what_a_task_reads_no_more_is_taken_from_behind_its_dependents(engine: Engine) -> None:
    flow = (await engine.start(FlowPlan("etl", [reader(1), reader(2, 1), reader(3, 2)]))).flow
    key = engine.keys.flow(flow)
    where = (engine.client, engine.partition, flow)
    assert await send(engine.client, "HMGET", key, "d1", "d2", "d3") == [b"2", b"3<1", b"<2"]
    for seq, found in ((3, [b"2", b"3<1", b"<"]), (2, [b"2", b"3<", b"<"])):
        messages = await read_messages(*where, [seq])
        assert messages is not None
        new = {seq: (messages[seq], with_parameters(messages[seq], {f"p{seq - 1}": 7}))}
        await rerun(*where, by="alice", selection=[seq], messages=new)
        assert await send(engine.client, "HMGET", key, "d1", "d2", "d3") == found
        await engine.check()
    await engine.work_off()
