"""finish_and_claim, its second half: who goes first."""

from collections.abc import Sequence

from flower_engine.log.client import send
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions.worker_transitions import Claim, Outcome, queue_name
from scripts.engine import Engine, chain, task

QUANTUM = 8  # as in lua/lib/choose.lua


async def workflows_of(engine: Engine, claims: Sequence[Claim]) -> str:
    """The workflows of these claims as one word, in order; they have names of one letter."""
    flows = await engine.flows()
    return "".join(flows[claim.flow].workflow for claim in claims)


async def test_a_lower_priority_number_goes_first(engine: Engine) -> None:
    for priority in (5, -20, 0, 19, -1):
        await engine.register(task(priority, priority=priority))
    flows = await engine.flows()
    claims = await engine.claim()
    priorities = [flows[claim.flow].task(claim.task).planned.priority for claim in claims]
    assert priorities == [-20, -1, 0, 5, 19]
    await engine.finish(*claims)


async def test_priority_holds_across_workflows_and_programs(engine: Engine) -> None:
    await engine.register_many(20, task(1, program="A"), workflow="a")
    await engine.register_many(20, task(1, program="B", priority=-1), workflow="b")
    assert await workflows_of(engine, await engine.claim(20)) == "b" * 20
    await engine.work_off("w2")


async def test_a_task_that_becomes_ready_later_still_goes_before_a_lower_priority(engine: Engine) -> None:
    await engine.register_many(5, task(1, priority=1), workflow="l")
    await engine.register(task(1, priority=-5), task(2, 1, priority=-5), workflow="h")
    first = await engine.claim(1)
    got = await engine.exchange(outcomes=[Outcome(first[0], OutcomeKind.FINISHED)], wanted=2)
    assert await workflows_of(engine, [*first, *got.claims]) == "hhl"


async def test_workflows_of_one_priority_take_turns_in_quanta(engine: Engine) -> None:
    await engine.register_many(50, task(1), workflow="a")
    await engine.register_many(50, task(1), workflow="b")
    await engine.register_many(50, task(1), workflow="c")
    turns = "".join(letter * QUANTUM for letter in "abc")
    assert await workflows_of(engine, await engine.claim(6 * QUANTUM)) == turns * 2


async def test_single_claims_take_turns_too(engine: Engine) -> None:
    await engine.register_many(4, task(1), workflow="a")
    await engine.register_many(4, task(1), workflow="b")
    claims = [(await engine.claim(1))[0] for _ in range(8)]
    assert await workflows_of(engine, claims) == "abababab"


async def test_turns_that_an_older_version_left_are_put_right_when_a_worker_begins(engine: Engine) -> None:
    await engine.register(task(1, priority=-20), workflow="high")
    await engine.register(task(1, priority=19), workflow="low")
    keys = engine.keys
    await send(engine.client, "DEL", keys.turns("default"))
    await send(engine.client, "HSET", keys.turns("default"), "default:19:low", 7)
    for share, score in (("default:-20:high", 9), ("default:19:low", 39 * 2**44 + 7)):
        await send(engine.client, "ZADD", keys.ready("default"), score, share)
    await engine.attend("default")
    (first,) = await engine.claim(1)
    assert (await engine.flow(first.flow)).workflow == "high"
    await engine.work_off("w2")


async def test_a_workflow_alone_gets_every_slot(engine: Engine) -> None:
    await engine.register_many(50, task(1), workflow="a")
    assert len(await engine.claim(50)) == 50


async def test_the_last_workflow_left_gets_the_rest(engine: Engine) -> None:
    await engine.register_many(3, task(1), workflow="a")
    await engine.register_many(30, task(1), workflow="b")
    assert await workflows_of(engine, await engine.claim(33)) == "a" * 3 + "b" * 30


async def test_a_workflow_of_many_programs_gets_one_share(engine: Engine) -> None:
    many = [task(seq, program=f"P{seq}") for seq in range(1, 6)]
    await engine.register_many(10, *many, workflow="m")
    await engine.register_many(50, task(1), workflow="o")
    served = await workflows_of(engine, await engine.claim(6 * QUANTUM))
    assert served.count("m") == served.count("o")


async def test_a_workflow_that_comes_back_gains_nothing(engine: Engine) -> None:
    await engine.register_many(10, task(1), workflow="b")
    claims: list[Claim] = []
    for _ in range(3):  # "a" has one task at a time, and is back as soon as that is taken
        await engine.register(task(1), workflow="a")
        claims += await engine.claim(1)
        await engine.register(task(1), workflow="a")
        claims += await engine.claim(1)
    assert await workflows_of(engine, claims) == "ababab"


async def test_a_new_workflow_is_served_at_once(engine: Engine) -> None:
    await engine.register_many(100, task(1), workflow="a")
    await engine.claim(20)
    await engine.register(task(1), workflow="n")
    assert await workflows_of(engine, await engine.claim(1)) == "n"


async def test_a_flow_that_is_further_ahead_goes_before_a_new_one(engine: Engine) -> None:
    one, two = await engine.register_many(2, *chain(3))
    first, second = await engine.claim(2)
    await engine.register(*chain(3))
    await engine.finish(second)
    await engine.finish(first)
    ahead = await engine.claim(1)
    assert [(claim.flow, claim.task) for claim in ahead] == [(one, 2)]
    await engine.finish(*ahead)  # now it is two steps ahead of the new flow, one ahead of the second
    order = [(claim.flow, claim.task) for claim in await engine.claim(2)]
    assert order == [(one, 3), (two, 2)]


async def test_flows_of_a_backlog_end_one_after_another(engine: Engine) -> None:
    flows = await engine.register_many(20, *chain(3))
    ran = await engine.work_off(slots=1)
    assert [claim.flow for claim in ran] == [flow for flow in flows for _ in range(3)]


async def test_further_ahead_holds_over_the_lanes_of_a_workflow(engine: Engine) -> None:
    flows = await engine.register_many(
        4, task(1, program="P1"), task(2, 1, program="P2"), task(3, 2, program="P3")
    )
    ran = await engine.work_off(slots=1)
    assert [claim.flow for claim in ran] == [flow for flow in flows for _ in range(3)]


async def test_otherwise_the_first_registered_goes_first(engine: Engine) -> None:
    flows = await engine.register_many(30, task(1, program="A"), task(2, program="B"))
    claims = await engine.claim(60)
    assert [(claim.flow, claim.task) for claim in claims] == [
        (flow, number) for flow in flows for number in (1, 2)
    ]


async def test_a_returned_task_does_not_go_to_the_back(engine: Engine) -> None:
    one, two, three = await engine.register_many(3, task(1))
    (claim,) = await engine.claim(1)
    await engine.give_back(claim)
    assert [claim.flow for claim in await engine.claim()] == [one, two, three]


async def test_a_worker_gets_only_programs_that_it_serves(engine: Engine) -> None:
    await engine.register(task(1, program="A"), task(2, program="B"), task(3, program="C"))
    claims = await engine.claim(programs=["A", "C"])
    assert [claim.task for claim in claims] == [1, 3]
    assert [claim.task for claim in await engine.claim(programs=["A", "C"])] == []
    rest = await engine.claim(programs=["B"])
    assert [claim.task for claim in rest] == [2]
    await engine.finish(*claims, *rest)


async def test_work_that_nobody_serves_does_not_hold_up_other_work(engine: Engine) -> None:
    await engine.register_many(30, task(1, program="Unserved", priority=-20), workflow="x")
    await engine.register_many(30, task(1, program="Unserved"), workflow="y")
    await engine.register_many(2 * QUANTUM, task(1, program="A"), workflow="a")
    await engine.register_many(2 * QUANTUM, task(1, program="A"), workflow="b")
    claims = await engine.claim(100, programs=["A"])
    assert await workflows_of(engine, claims) == "".join(letter * QUANTUM for letter in "abab")


async def test_a_worker_gets_only_queues_that_it_serves(engine: Engine) -> None:
    await engine.attend("slow")
    await engine.register(task(1), task(2, queue="slow"))
    assert [claim.task for claim in await engine.claim(queues=["slow"])] == [2]
    assert [claim.task for claim in await engine.claim()] == [1]


async def test_queues_are_served_in_the_workers_order(engine: Engine) -> None:
    await engine.attend("slow", "fast")
    await engine.register_many(2, task(1, queue="slow", priority=-20), task(2), task(3, queue="fast"))
    claims = await engine.claim(5, queues=["fast", "default", "slow"])
    assert [queue_name(claim) for claim in claims] == ["fast", "fast", "default", "default", "slow"]


async def test_a_worker_never_gets_more_than_it_wants(engine: Engine) -> None:
    await engine.attend("slow")
    await engine.register_many(20, task(1, program="A"), task(2, program="B"), task(3, queue="slow"))
    for wanted in (0, 1, 7, 13):
        assert len(await engine.claim(wanted, queues=["default", "slow"])) == wanted


async def test_no_task_is_given_to_two_workers(engine: Engine) -> None:
    await engine.register_many(30, task(1), task(2))
    claims = [claim for turn in range(20) for claim in await engine.claim(3, worker=f"w{turn}")]
    assert len({claim.member for claim in claims}) == len({claim.lease for claim in claims}) == 60


async def _keys_of_the_choice(engine: Engine) -> list[bytes]:
    """Lanes, shares and turns: there are none where nothing had to be chosen."""
    kinds = ("lane", "share", "ready", "turns")
    return [key for kind in kinds for key in await send(engine.client, "KEYS", f"*}}:{kind}:*")]


async def test_what_becomes_ready_is_handed_over_where_nothing_else_waits(engine: Engine) -> None:
    rows = [task(1), task(2, 1, priority=3), task(3, 1, priority=-3), task(4, 2, 3)]
    flow = await engine.register(*rows)
    first = await engine.claim(1)
    await send(engine.client, "DEL", engine.keys.turns("default"))
    got = await engine.exchange(outcomes=[Outcome(first[0], OutcomeKind.FINISHED)], wanted=5)
    assert [(claim.flow, claim.task) for claim in got.claims] == [(flow, 3), (flow, 2)], "by priority"
    await engine.check()
    last = await engine.exchange(
        outcomes=[Outcome(claim, OutcomeKind.FINISHED) for claim in got.claims], wanted=5
    )
    assert await _keys_of_the_choice(engine) == []
    await engine.finish(*last.claims)
    await engine.check()


async def test_what_the_worker_does_not_want_or_serve_goes_to_the_lanes(engine: Engine) -> None:
    await engine.register(task(1), task(2, 1, program="B"), workflow="b")
    await engine.register(*[task(1), *(task(seq, 1) for seq in range(2, 6))], workflow="f")
    for wanted, programs in ((5, ["A"]), (2, None)):
        (begun,) = await engine.claim(1, programs=["A"])
        got = await engine.exchange(
            outcomes=[Outcome(begun, OutcomeKind.FINISHED)], wanted=wanted, programs=programs
        )
        assert len(got.claims) <= wanted
        assert await _keys_of_the_choice(engine)
        await engine.check()
        await engine.give_back(*got.claims)
    await engine.work_off()
    await engine.check()


async def test_a_workflow_that_was_served_past_the_lanes_has_its_turn_like_any_other(engine: Engine) -> None:
    await engine.register(*chain(30), workflow="a")
    (claim,) = await engine.claim(1)
    for _ in range(20):
        got = await engine.exchange(outcomes=[Outcome(claim, OutcomeKind.FINISHED)], wanted=1)
        (claim,) = got.claims
    await engine.register_many(40, task(1), workflow="a")
    await engine.register_many(40, task(1), workflow="b")
    served = await workflows_of(engine, await engine.claim(4 * QUANTUM))
    assert served.count("b") == 2 * QUANTUM
