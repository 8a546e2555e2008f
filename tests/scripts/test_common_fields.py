"""What items of a map have in common stands once for them; where one differs, it has a field of its own."""

import msgspec
import pytest

from flower_engine.insight.common_fields import FIELD, common_fields, common_with, read_lanes
from flower_engine.log.client import send
from flower_engine.transitions import expansion_segments
from flower_engine.transitions.expansion_segments import LEAST_COMMON
from flower_engine.transitions.operator_transitions import Scope, prioritise
from scripts.engine import Engine, task
from scripts.test_map_chains import CHAIN, end, finish
from scripts.test_maps import a_map, decider, expand, run_again

DEFINED = len(CHAIN)


async def _letters(engine: Engine, flow: str) -> set[str]:
    """Which fields items of the flow have."""
    names: list[bytes] = await send(engine.client, "HKEYS", engine.keys.flow(flow))
    return {name[:1].decode() for name in names if name[1:].isdigit() and int(name[1:]) > DEFINED}


@pytest.mark.parametrize(("items", "letters"), [(LEAST_COMMON, {"m"}), (LEAST_COMMON - 1, {*"mldu"})])
async def test_many_items_have_their_messages_and_nothing_else(
    engine: Engine, items: int, letters: set[str]
) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, msgspec.json.encode(list(range(items))))
    assert await _letters(engine, flow) == letters
    await end(engine)
    assert (await engine.flow(flow)).ended_ms is not None


async def test_results_of_items_are_counted_short_or_long_whoever_is_done_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion_segments, "LEAST_COMMON", 2)
    flow = await engine.register(*CHAIN)
    await expand(engine, b"[1,2,3,4]")  # 6 to 9, then 10 to 13, then 14 to 17
    long = msgspec.json.encode("x" * 300)
    for first in (True, False):  # one of each end while maps read the others still, then all
        claims = await engine.claim()
        for claim in claims[:2] if first else claims:
            await engine.finish(claim, payload=long if claim.task % 2 else b"1")
            await engine.check()
        if first:
            for claim in claims[2:]:
                await engine.give_back(claim)
    while await decider(engine).run_once():  # lists: maps read no more
        await engine.check()
    for number, claim in enumerate(await engine.claim()):
        await engine.finish(claim, payload=long if number % 2 else b"2")
        await engine.check()
    await end(engine)
    assert (await engine.flow(flow)).ended_ms is not None


async def test_an_item_that_runs_again_is_kept_for_those_alone_that_read_it_then(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion_segments, "LEAST_COMMON", 2)
    flow = await engine.register(*CHAIN)
    await expand(engine, b"[1,2]")  # 6 and 7, 8 and 9, 10 and 11
    while await finish(engine, *range(6, 12)) != [5]:
        await decider(engine).run_once()
    again: tuple[tuple[int, Scope, list[int]], ...] = ((6, "only", [6]), (9, "dependents", [9, 11]))
    for item, scope, ran in again:
        await run_again(engine, flow, item, scope=scope)
        await engine.check()
        for number in ran:
            assert number in await finish(engine, number)
            await engine.check()
        while await decider(engine).run_once():
            await engine.check()
    assert await end(engine) == [5]


async def test_the_lane_of_an_item_that_has_none_of_its_own_is_found(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, msgspec.json.encode(list(range(LEAST_COMMON))))
    key = engine.keys.flow(flow)
    own: bytes = await send(engine.client, "HGET", key, "l1")
    item = DEFINED + 1
    assert not await send(engine.client, "HEXISTS", key, f"l{item}")
    counters, *lanes = await read_lanes(engine.client, key, [item, 1])
    assert counters is not None
    assert lanes == [own, own]


async def test_another_priority_stands_once_for_all_items_but_with_one_that_has_a_lane_of_its_own(
    engine: Engine,
) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, msgspec.json.encode(list(range(LEAST_COMMON))))
    key, item = engine.keys.flow(flow), DEFINED + 1
    (ran, *others) = await engine.claim(wanted=3)
    for claim in others:
        await engine.give_back(claim)
    before: bytes = await send(engine.client, "HGET", key, "l1")
    await send(engine.client, "HSET", key, f"l{item}", before)
    for priority in (7, 0, -3):
        await prioritise(engine.client, engine.partition, flow, by="ann", priority=priority)
        await engine.check()
        assert await _letters(engine, flow) == {*"msl"}
        _, *lanes = await read_lanes(engine.client, key, [1, item, item + 1, DEFINED + 2 * LEAST_COMMON])
        assert len(set(lanes)) == 1
        assert lanes[0] is not None and f":{priority}:".encode() in lanes[0]
    await engine.finish(ran)
    await end(engine)
    assert (await engine.flow(flow)).ended_ms is not None


async def test_of_many_maps_each_item_is_found_and_no_other_task(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion_segments, "LEAST_COMMON", 3)
    lists = [task(seq, program="B") for seq in range(1, 6)]
    maps = [a_map(seq, seq - 5, parameters={"over": {"$from": seq - 5}}) for seq in range(6, 11)]
    flow = await engine.register(*lists, *maps)
    for claim in await engine.claim():  # every other map has too few items for a line
        await engine.finish(claim, payload=b"[1,2,3,4]" if claim.task % 2 else b"[1,2]")
    while await decider(engine).run_once():
        await engine.check()
    key = engine.keys.flow(flow)
    text: bytes = await send(engine.client, "HGET", key, FIELD)
    lines = common_fields(text.decode())
    assert len(lines) == 3
    assert lines == sorted(lines)
    for seq in range(30):
        found = common_with(seq, lines)
        assert ([] if found is None else [found]) == [one for one in lines if one.first <= seq <= one.last]
    while claims := await engine.claim(wanted=5):
        for claim in reversed(claims):
            await engine.finish(claim)
        while await decider(engine).run_once():
            pass
        await engine.check()
    assert (await engine.flow(flow)).ended_ms is not None
