"""Items of which somebody sent some, and never all: nothing of these is in the items that come then."""

import re
from typing import Any

import msgspec
import pytest

from flower_engine.log.client import send
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.runtime import expanding
from flower_engine.transitions.operator_transitions import ignore
from scripts.engine import Engine, task
from scripts.test_maps import MAPPED, a_map, decider, expand, finish_items, run_again, stands


class KilledError(Exception):
    """Whoever expands a map dies."""


async def dies_while_it_expands(engine: Engine, monkeypatch: pytest.MonkeyPatch, sent: int) -> None:
    """Whoever comes first dies when it has sent so many items of a map."""
    calls = 0

    async def some(*where: Any, **step: Any) -> Any:
        nonlocal calls
        if calls == sent:
            raise KilledError
        calls += 1
        return await expanding_expand(*where, **step)

    expanding_expand = expanding.expand
    with monkeypatch.context() as patch:
        patch.setattr(expanding, "expand", some)
        patch.setattr(expanding, "STEP_FIELDS", 1)
        with pytest.raises(KilledError):
            await decider(engine).run_once()
    # As if it were long ago: everything is given to the next one, and nobody waits for who began.
    for member in await send(engine.client, "ZRANGE", engine.keys.decide, 0, -1):
        await send(engine.client, "ZADD", engine.keys.decide, 0, member)
        key = engine.keys.flow(member[:36].decode())
        staged: bytes | None = await send(engine.client, "HGET", key, "Z")
        assert staged is not None
        await send(engine.client, "HSET", key, "Z", re.sub(rb"^((?:\S+ ){4})\d+", rb"\g<1>0", staged))


@pytest.mark.parametrize(
    "first",
    [
        a_map(2, retry=RetryPolicy(max_attempts=3), timeout_ms=600_000),
        a_map(2, parameters={"program": None, "workflow": "child", "parameters": {}}),
        a_map(2, parameters={"tolerate": 3}),
    ],
    ids=["policy", "children", "rules"],
)
@pytest.mark.parametrize("elements", [[7], [7, 8, 9]])
async def test_of_items_of_a_map_that_were_sent_in_part_nothing_is_in_those_of_another_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, first: TaskDefinition, elements: list[int]
) -> None:
    parameters = {key: value for key, value in first.parameters.items() if value is not None}
    other = task(3, 1, program="@map", parameters={"over": elements, "program": "A", "as": "n"})
    flow = await engine.register(
        task(1),
        msgspec.structs.replace(first, parameters=parameters),
        other,
        a_map(4, 1, parameters={"over": [5]}),
    )
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b'["a","b","c"]')
    await dies_while_it_expands(engine, monkeypatch, 2)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[2], reason="")
    await decider(engine).run_once()
    await engine.check()
    for one in await finish_items(engine):
        assert one.attempt == 1
    await decider(engine).run_once()
    state = await engine.flow(flow)
    assert state.ended_ms is not None, await stands(engine, flow)
    assert [one.status for one in state.tasks[4:]] == [Status.FINISH] * (len(elements) + 1)
    await engine.check()


async def test_what_was_sent_as_taken_over_runs_where_the_map_is_not_matched_any_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine)
    await finish_items(engine)
    await decider(engine).run_once()
    await finish_items(engine)
    await run_again(engine, flow, 2, scope="changed")
    await dies_while_it_expands(engine, monkeypatch, 2)
    await run_again(engine, flow, 2)
    assert await decider(engine).run_once() == 1
    assert await stands(engine, flow) == "F..vvv..."
    assert [claim.task for claim in await finish_items(engine)] == [7, 8, 9]
    assert await decider(engine).run_once() == 1
    assert await stands(engine, flow) == "FF.vvvFFF"
