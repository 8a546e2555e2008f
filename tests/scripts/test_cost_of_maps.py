"""What items of maps cost Redis: what they have in common is asked and told once a call, and not for each."""

from typing import Any

import msgspec
import pytest

from flower_engine.log.client import send
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions import decision_transitions
from flower_engine.transitions.decision_transitions import decide, due_decisions
from flower_engine.transitions.loader import Script
from flower_engine.transitions.operator_transitions import cancel
from flower_engine.transitions.worker_transitions import Claim, Outcome
from scripts.engine import A_MINUTE_MS, Engine, task
from scripts.small_steps import in_small
from scripts.test_map_chains import CHAIN, along
from scripts.test_maps import MAPPED, a_map, decider, expand, run_again

ITEMS, SLOTS = 120, 30
COMMANDS_A_CALL = 45
"""Of a call that hands in and takes so many items. Each costs one more, its entry of the work stream."""
BOUNDS: dict[str, dict[str, Any]] = {
    "no bound": {},
    "a window": {"limit": 100},
    "tolerance and outcomes": {"tolerate": 0.5, "outcomes": True},
    "all of them": {"limit": 100, "tolerate": 0.5, "outcomes": True},
}


async def _commands(engine: Engine) -> int:
    """How many commands were run so far, but for entries of the work stream."""
    stats: dict[str, dict[str, int]] = await send(engine.client, "INFO", "commandstats")
    return sum(one["calls"] for name, one in stats.items() if name not in ("cmdstat_xadd", "cmdstat_info"))


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=list(BOUNDS))
async def test_what_a_call_does_for_thirty_items_takes_no_command_for_each(
    engine: Engine, bounds: dict[str, Any]
) -> None:
    await engine.register(task(1), a_map(2, parameters=bounds), MAPPED[2])
    await expand(engine, msgspec.json.encode(list(range(ITEMS))))
    claims = await engine.claim(SLOTS)
    for _ in range(2):
        assert len(claims) == SLOTS
        outcomes = [Outcome(claim, OutcomeKind.FINISHED, b"7") for claim in claims]
        before = await _commands(engine)
        claims = (await engine.exchange(outcomes=outcomes, wanted=SLOTS)).claims
        assert await _commands(engine) - before <= COMMANDS_A_CALL
    await engine.check()


@pytest.mark.parametrize(
    ("tolerant", "most"),
    [({}, COMMANDS_A_CALL), ({"tolerate": 0.5}, COMMANDS_A_CALL + 10)],
    ids=["no bound", "tolerance"],
)
@pytest.mark.parametrize("items", [ITEMS, SLOTS], ids=["others wait", "nothing else waits"])
async def test_items_that_go_along_others_take_no_command_for_each_either(
    engine: Engine, tolerant: dict[str, Any], most: int, items: int
) -> None:
    maps = (a_map(2, parameters=tolerant), along(3, 2, parameters=tolerant), along(4, 3, parameters=tolerant))
    await engine.register(CHAIN[0], *maps, CHAIN[-1])
    await expand(engine, msgspec.json.encode(list(range(items))))
    claims = await engine.claim(SLOTS)
    ran = set[int]()
    while len(claims) == SLOTS:
        ran |= {claim.task for claim in claims}
        before = await _commands(engine)
        claims = (await engine.exchange(outcomes=_ended(*claims), wanted=SLOTS)).claims
        assert await _commands(engine) - before <= most
    assert ran == set(range(6, 6 + 3 * items))
    await engine.check()


async def test_items_that_go_along_others_count_one_by_one_as_together(engine: Engine) -> None:
    flow = await engine.register(*CHAIN)
    await expand(engine, b"[1,2,3]")
    first, *others = await engine.claim(3)
    claims = (await engine.exchange(outcomes=_ended(first), wanted=1)).claims  # item 9
    await engine.check()
    claims = (await engine.exchange(outcomes=_ended(*claims, *others), wanted=3)).claims
    assert {claim.task for claim in claims} == {10, 11, 12}
    await engine.check()
    await engine.exchange(outcomes=_ended(*claims), wanted=0)
    await engine.check()
    for _ in range(2):  # the list of a map is told before that of the one that goes along it
        assert await decider(engine).run_once() == 1
    claims = await engine.claim(9)
    assert {claim.task for claim in claims} == {13, 14}
    await engine.exchange(outcomes=_ended(*claims), wanted=0)
    assert await decider(engine).run_once() == 1
    found = await engine.flow(flow)
    assert [found.task(seq).result for seq in (2, 3, 4)] == [b"[6,7,8]", b"[9,10,11]", b"[12,13,14]"]
    await engine.check()


def _ended(*claims: Claim) -> list[Outcome]:
    return [Outcome(claim, OutcomeKind.FINISHED, b"%d" % claim.task) for claim in claims]


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=list(BOUNDS))
async def test_items_that_end_in_one_call_count_as_those_that_end_one_by_one(
    engine: Engine, bounds: dict[str, Any]
) -> None:
    await engine.register(task(1), a_map(2, parameters=bounds), MAPPED[2])
    await expand(engine, b"[1,2,3,4,5,6,7]")
    claims = await engine.claim(7)
    kinds = [OutcomeKind.FINISHED] * 7
    if "tolerate" in bounds:
        kinds[2] = kinds[5] = OutcomeKind.SUSPENDED
    payloads = [
        b'{"type":"ValueError","message":"no"}' if kind is OutcomeKind.SUSPENDED else b"%d" % claim.task
        for claim, kind in zip(claims, kinds, strict=True)
    ]
    outcomes = [
        Outcome(claim, kind, payload) for claim, kind, payload in zip(claims, kinds, payloads, strict=True)
    ]
    await engine.exchange(outcomes=outcomes[:6], wanted=0)
    await engine.check()
    assert await decider(engine).run_once() == 0
    await engine.exchange(outcomes=outcomes[6:], wanted=0)
    await engine.check()
    assert await decider(engine).run_once() == 1
    await engine.check()
    (last,) = await engine.claim(7)
    assert last.task == 3
    await engine.finish(last)
    await engine.check()


async def test_a_map_of_which_too_many_items_fail_in_one_call_is_held_at_once(engine: Engine) -> None:
    await engine.register(task(1), a_map(2, parameters={"tolerate": 1}), MAPPED[2])
    await expand(engine, b"[1,2,3,4,5,6,7]")
    claims = await engine.claim(5)
    error = b'{"type":"ValueError","message":"no"}'
    kinds = [OutcomeKind.SUSPENDED, OutcomeKind.FINISHED] * 2 + [OutcomeKind.FINISHED]
    outcomes = [
        Outcome(claim, kind, error if kind is OutcomeKind.SUSPENDED else b"1")
        for claim, kind in zip(claims, kinds, strict=True)
    ]
    await engine.exchange(outcomes=outcomes, wanted=0)
    await engine.check()
    assert await decider(engine).run_once() == 1
    assert await engine.claim(7) == []
    await engine.check()


async def test_the_lists_of_many_large_maps_are_not_all_read_by_one_call(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small(monkeypatch, decision_transitions, HANDED_MS=str(A_MINUTE_MS))
    elements = msgspec.json.encode(list(range(600)))
    for _ in range(3):
        await engine.register(*MAPPED)
    await engine.finish(*await engine.claim(), payload=elements)
    assert await decider(engine).run_once() == 3
    await engine.work_off(slots=600)
    due = await due_decisions(engine.client, engine.partition, least_ms=0)
    assert [len(one.of_map.payloads) for one in due if one.of_map is not None] == [600]
    for left in (1, 1):  # what was given stays with who has it for a moment
        assert len(await due_decisions(engine.client, engine.partition, least_ms=0)) == left


async def test_a_large_list_is_read_in_pages_and_is_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small(monkeypatch, decision_transitions, MOST_ITEMS_READ="2")
    bounds = {"tolerate": 0.5, "outcomes": True}
    flow = await engine.register(task(1), a_map(2, parameters=bounds), MAPPED[2])
    await expand(engine, b"[1,2,3,4,5]")
    claims = await engine.claim(5)
    await engine.exchange(outcomes=[*_ended(*claims[:2], *claims[3:]), _failed(claims[2])], wanted=0)
    before = await _reads(engine)
    assert await decider(engine).run_once() == 1
    assert await _reads(engine) - before >= 3
    found = msgspec.json.decode((await engine.flow(flow)).task(2).result or b"")
    assert [one.get("result") for one in found] == [4, 5, None, 7, 8]
    assert [one["status"] for one in found] == ["finished"] * 2 + ["given_up"] + ["finished"] * 2
    await engine.check()


async def test_large_results_are_read_in_smaller_pages(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    for _ in range(2):
        await engine.register(*MAPPED)
    await engine.finish(*await engine.claim(2), payload=b"[1,2,3,4]")
    assert await decider(engine).run_once() == 2
    large = b'"%s"' % (b"x" * 60)
    claims = await engine.claim(8)
    await engine.exchange(outcomes=[Outcome(one, OutcomeKind.FINISHED, large) for one in claims], wanted=0)
    for _ in range(2):
        before = await _reads(engine)
        (one,) = await due_decisions(engine.client, engine.partition, most=1)
        reads.append(await _reads(engine) - before)
        assert one.of_map is not None and one.of_map.payloads == [b"=" + large] * 4
        in_small(monkeypatch, decision_transitions, MOST_BYTES_READ="100")
    assert reads[1] == reads[0] + 3


async def test_a_list_whose_items_run_again_while_it_is_read_does_not_count(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine, b"[1,2,3]")
    await engine.exchange(outcomes=_ended(*await engine.claim(3)), wanted=0)
    (one,) = await due_decisions(engine.client, engine.partition)
    await run_again(engine, flow, 5)
    await engine.check()
    (again,) = await engine.claim(3)
    assert (again.task, again.attempt) == (5, 2)
    await engine.finish(again, payload=b"55")
    old = Decided("gathered", b"[4,5,6]")
    assert await decide(engine.client, engine.partition, "late", [(one, old)]) == ["stale"]
    assert await decider(engine).run_once() == 1
    assert (await engine.flow(flow)).task(2).result == b"[4,55,6]"
    await engine.check()


async def test_a_list_of_a_flow_that_has_gone_meanwhile_is_not_made(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await engine.register(task(1), a_map(2, parameters={"outcomes": True}), MAPPED[2])
    await expand(engine, b"[1,2]")
    await engine.exchange(outcomes=_ended(*await engine.claim(3)), wanted=0)
    read = Script.run

    async def then_a_cancel(script: Script, *args: Any) -> Any:
        reply = await read(script, *args)
        monkeypatch.setattr(Script, "run", read)
        await cancel(engine.client, engine.partition, flow, by="ann")
        return reply

    monkeypatch.setattr(Script, "run", then_a_cancel)
    assert await decider(engine).run_once() == 0
    await engine.check()


async def _reads(engine: Engine) -> int:
    stats: dict[str, dict[str, int]] = await send(engine.client, "INFO", "commandstats")
    return stats["cmdstat_hmget"]["calls"]


def _failed(claim: Claim) -> Outcome:
    return Outcome(claim, OutcomeKind.SUSPENDED, b'{"type":"ValueError","message":"no"}')
