"""Numbers of items: whoever expands a map knows them, and hears of it when others were faster."""

from typing import Any

import msgspec
import pytest

from flower_engine.model.maps.map_expansion import Expansion
from flower_engine.runtime import expanding
from flower_engine.runtime.expanding import Maps
from flower_engine.transitions.decision_transitions import Undecided, due_decisions
from flower_engine.transitions.task_fields import decode_message
from scripts.engine import Engine, task
from scripts.test_maps import a_map


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each call of a step was answered."""
    words: list[str] = []
    send_step = expanding.expand

    async def noted(*where: Any, **step: Any) -> Any:
        answer = await send_step(*where, **step)
        words.append(answer.word)
        return answer

    monkeypatch.setattr(expanding, "expand", noted)
    return words


def maps(engine: Engine) -> Maps:
    """A service that expands maps."""
    return Maps(engine.client, engine.partition, "test", None, is_last=True)


async def two_maps(engine: Engine, **parameters: Any) -> tuple[str, list[tuple[Undecided, Expansion]]]:
    """A flow with two maps that were read together, and what they come to."""
    both = (a_map(seq, 1, parameters={"over": [seq, 7], **parameters}) for seq in (2, 3))
    flow = await engine.register(task(1), *both)
    await engine.finish(*await engine.claim())
    found: list[tuple[Undecided, Expansion]] = []
    for one in await due_decisions(engine.client, engine.partition):
        assert one.of_map is not None
        expansion = await maps(engine).evaluated(one, one.of_map, decode_message(one.message), {})
        assert isinstance(expansion, Expansion)
        found.append((one, expansion))
    assert [one.of for one, _ in found] == [(flow, 2), (flow, 3)]
    return flow, found


async def items_of(engine: Engine, flow: str) -> list[tuple[int, ...]]:
    """The items of its maps, by their numbers."""
    return [one.planned.items or () for one in (await engine.flow(flow)).tasks[1:3]]


async def test_maps_of_one_flow_that_were_read_together_take_one_call_each(
    engine: Engine, calls: list[str]
) -> None:
    flow, found = await two_maps(engine)
    service = maps(engine)
    for one, expansion in found:
        assert await service.expand(one, expansion) is None
    assert calls == ["ok", "ok"]
    assert await items_of(engine, flow) == [(4, 2), (6, 2)]
    await engine.check()


async def test_a_map_whose_flow_got_other_items_since_it_was_read_has_the_numbers_behind_them(
    engine: Engine, calls: list[str]
) -> None:
    flow, found = await two_maps(engine)
    for one, expansion in found:
        assert await maps(engine).expand(one, expansion) is None
    assert calls == ["ok", "anew", "ok"]
    assert await items_of(engine, flow) == [(4, 2), (6, 2)]
    await engine.check()
    claims = await engine.claim()
    assert [msgspec.json.decode(claim.message)["parameters"]["file"] for claim in claims] == [2, 7, 3, 7]
    await engine.finish(*claims)
    await engine.check()


async def test_a_service_that_expanded_more_than_the_flow_still_has_begins_where_the_flow_says(
    engine: Engine, calls: list[str]
) -> None:
    flow, ((first, expansion), _) = await two_maps(engine)
    service = maps(engine)
    assert first.of_map is not None
    ahead = msgspec.structs.replace(first, of_map=msgspec.structs.replace(first.of_map, first=9))
    assert await service.expand(ahead, expansion) is None
    assert calls == ["anew", "ok"]
    assert (await items_of(engine, flow))[0] == (4, 2)
    await engine.check()
