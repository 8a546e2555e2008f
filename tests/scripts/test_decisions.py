"""Decisions need no worker: whoever comes first evaluates the condition, and branches follow it."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import RefusedError
from flower_engine.flows.flow_operations import results_of
from flower_engine.flows.operation_effects import effect_of_rerun
from flower_engine.log.client import send
from flower_engine.model.decisions.condition_text import condition_of_text
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.maps.decision_outcomes import Decided, outcome_of
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions import decision_transitions
from flower_engine.transitions.decision_transitions import Undecided, decide, due_decisions
from flower_engine.transitions.operator_transitions import (
    Body,
    cancel,
    ignore,
    pause,
    read_messages,
    rerun,
    resume,
    unignore,
)
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import A_MINUTE_MS, Engine, task
from scripts.small_steps import in_small
from scripts.test_maps import run_again


def decision(seq: int, *depends_on: int, condition: str = "task(1).bad > 2", **more: Any) -> TaskDefinition:
    parameters = {"condition": condition_of_text(condition)}
    made = task(seq, *depends_on, program="@when", parameters=parameters)
    return msgspec.structs.replace(made, **more)


def branch(seq: int, of: int, says: bool, *depends_on: int, **more: Any) -> TaskDefinition:
    return msgspec.structs.replace(task(seq, *depends_on), when=(of, says), **more)


BRANCHES = (task(1), decision(2, 1), branch(3, 2, True), branch(4, 2, False), task(5, 3, 4))


async def finish_first(engine: Engine, result: bytes = b'{"bad":3}') -> None:
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=result)


async def due(engine: Engine) -> list[Undecided]:
    return await due_decisions(engine.client, engine.partition)


def decider(engine: Engine) -> Decider:
    return Decider(engine.client, engine.partition, "test")


def outcome(one: Undecided, contents: dict[int, bytes | None]) -> Decided:
    return outcome_of(msgspec.json.decode(one.message, type=TaskMessage), contents)


async def statuses(engine: Engine, flow: str) -> list[tuple[Status, str]]:
    return [(one.status, one.ended_as) for one in (await engine.flow(flow)).tasks]


async def test_a_decision_is_given_with_what_it_reads(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small(monkeypatch, decision_transitions, HANDED_MS=str(A_MINUTE_MS))
    flow = await engine.register(*BRANCHES)
    assert await due(engine) == []
    await finish_first(engine)
    (one,) = await due(engine)
    assert (one.member, one.attempt, one.input(1)) == (f"{flow}:2".encode(), 1, b'={"bad":3}')
    assert await due(engine) == []  # it was given to somebody just now
    assert (await engine.flow(flow)).task(2).is_awaiting
    await engine.check()


async def test_a_worker_that_lost_the_reply_is_told_again_that_there_is_something_to_decide(
    engine: Engine,
) -> None:
    await engine.register(*BRANCHES)
    (claim,) = await engine.claim()
    outcomes = [Outcome(claim, OutcomeKind.FINISHED, b'{"bad":3}')]
    first = await engine.call("w1", 2, outcomes=outcomes)
    assert first.decisions
    assert await engine.call("w1", 2, outcomes=outcomes) == first
    assert await decider(engine).run_once() == 1
    assert not (await engine.call("w1", 2, outcomes=outcomes)).decisions  # somebody made it since


@pytest.mark.parametrize(("bad", "taken", "not_taken"), [(3, 3, 4), (2, 4, 3)])
async def test_the_branch_that_it_says_goes_on_and_the_other_is_passed_over(
    engine: Engine, bad: int, taken: int, not_taken: int
) -> None:
    """airflow#39801, #59289: a branch that is not taken skips the join, too."""
    flow = await engine.register(*BRANCHES)
    await finish_first(engine, b'{"bad":%d}' % bad)
    assert await decider(engine).run_once() == 1
    found = await engine.flow(flow)
    assert found.task(2).result == msgspec.json.encode({"is": bad > 2, "values": {"task(1).bad": bad}})
    assert (found.task(not_taken).status, found.task(not_taken).ended_as) == (Status.IGNORE, "w")
    (claim,) = await engine.claim()
    assert claim.task == taken
    await engine.finish(claim)
    (claim,) = await engine.claim()
    assert claim.task == 5  # the join
    await engine.finish(claim)
    assert (await engine.flow(flow)).left == 0


async def test_what_does_not_compare_suspends_it(engine: Engine) -> None:
    flow = await engine.register(*BRANCHES)
    await finish_first(engine, b'{"bad":"x"}')
    assert await decider(engine).run_once() == 1
    found = (await engine.flow(flow)).task(2)
    assert found.status is Status.SUSPEND
    assert found.error is not None and "does not compare" in (found.error.message or "")
    await engine.check()
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[2])
    (one,) = await due(engine)
    assert one.attempt == 2


@pytest.mark.parametrize("again", [1, 2])
async def test_what_failed_in_a_branch_waits_again_with_its_decision_which_may_come_out_otherwise(
    engine: Engine, again: int
) -> None:
    """Whether that runs again alone, or because of what it reads."""
    flow = await engine.register(*BRANCHES)
    await finish_first(engine)
    assert await decider(engine).run_once() == 1
    await engine.suspend(*await engine.claim())
    effect = effect_of_rerun(await engine.flow(flow), [again], "")
    assert (effect.runs, effect.reopens) == ([*range(again, 4)], [4])
    await run_again(engine, flow, again)
    await engine.check()
    assert [one.ended_as for one in (await engine.flow(flow)).tasks] == [""] * 5
    if again == 1:
        await finish_first(engine, b'{"bad":2}')
        assert await decider(engine).run_once() == 1
    else:
        (one,) = await due(engine)
        says = outcome(one, {1: b'{"bad":2}'})
        assert await decide(engine.client, engine.partition, "a", [(one, says)]) == ["ok"]
    found = await engine.flow(flow)
    assert (found.task(3).status, found.task(3).ended_as) == (Status.IGNORE, "w")
    assert [claim.task for claim in await engine.work_off()] == [4, 5]
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_what_failed_in_a_branch_stays_held_where_its_decision_alone_is_to_run_again(
    engine: Engine,
) -> None:
    flow = await engine.register(*BRANCHES)
    await finish_first(engine)
    assert await decider(engine).run_once() == 1
    await engine.suspend(*await engine.claim())
    await run_again(engine, flow, 2, scope="only")
    await engine.check()
    assert (await engine.flow(flow)).task(3).status is Status.SUSPEND


async def test_the_first_counts_and_others_change_nothing(engine: Engine) -> None:
    flow = await engine.register(*BRANCHES)
    await finish_first(engine)
    (one,) = await due(engine)
    says = outcome(one, {1: b'{"bad":3}'})
    other = outcome(one, {1: b'{"bad":1}'})
    assert await decide(engine.client, engine.partition, "a", [(one, says)]) == ["ok"]
    assert await decide(engine.client, engine.partition, "b", [(one, other)]) == ["stale"]
    assert await decide(engine.client, engine.partition, "a", [(one, says)]) == ["stale"]
    assert (await engine.flow(flow)).task(2).result == says.payload


async def test_nothing_is_left_to_decide_of_a_flow_that_is_cancelled(engine: Engine) -> None:
    flow = await engine.register(*BRANCHES)
    await finish_first(engine)
    await cancel(engine.client, engine.partition, flow, by="ann")
    assert await due(engine) == []
    assert await send(engine.client, "HGET", engine.partition.keys.meta, "decide") == b"0"


async def test_a_pause_holds_what_is_behind_it(engine: Engine) -> None:
    flow = await engine.register(*BRANCHES)
    await finish_first(engine)
    await pause(engine.client, engine.partition, flow, by="ann")
    assert await decider(engine).run_once() == 1
    assert await engine.claim() == []
    await resume(engine.client, engine.partition, flow, by="ann")
    assert [claim.task for claim in await engine.claim()] == [3]


async def test_a_nested_decision_that_is_passed_over_passes_over_its_branches(engine: Engine) -> None:
    flow = await engine.register(
        task(1),
        decision(2, 1),
        decision(3, 1, when=(2, False), condition="task(1).bad < 0"),
        branch(4, 3, True),
        branch(5, 3, False),
        branch(6, 2, True),
        task(7, 4, 5, 6),
    )
    await finish_first(engine)
    await decider(engine).run_once()
    assert await statuses(engine, flow) == [
        (Status.FINISH, ""),
        (Status.FINISH, ""),
        (Status.IGNORE, "w"),
        (Status.IGNORE, "w"),
        (Status.IGNORE, "w"),
        (Status.WAIT, ""),
        (Status.WAIT, ""),
    ]


async def test_what_it_read_runs_again_and_it_is_decided_anew(engine: Engine) -> None:
    flow = await engine.register(*BRANCHES)
    await finish_first(engine, b'{"bad":3}')
    await decider(engine).run_once()
    (claim,) = await engine.claim()
    await engine.finish(claim)
    await engine.finish(*await engine.claim())
    assert (await engine.flow(flow)).ended_ms is not None
    restored = await engine.restored(flow)
    await rerun(
        engine.client, engine.partition, flow, by="ann", selection=[1], scope="dependents", restored=restored
    )
    assert await statuses(engine, flow) == [(Status.WAIT, "")] * 5
    await finish_first(engine, b'{"bad":1}')
    await decider(engine).run_once()
    found = await statuses(engine, flow)
    assert found[1:4] == [(Status.FINISH, ""), (Status.IGNORE, "w"), (Status.WAIT, "")]


async def test_a_rerun_while_it_awaits_makes_what_was_evaluated_stale(engine: Engine) -> None:
    flow = await engine.register(*BRANCHES)
    await finish_first(engine, b'{"bad":3}')
    (one,) = await due(engine)
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[1], scope="dependents")
    assert await due(engine) == []
    says = outcome(one, {1: b'{"bad":3}'})
    assert await decide(engine.client, engine.partition, "a", [(one, says)]) == ["stale"]
    await finish_first(engine, b'{"bad":1}')
    assert await decide(engine.client, engine.partition, "a", [(one, says)]) == ["stale"]
    await decider(engine).run_once()
    assert (await engine.flow(flow)).task(2).result == b'{"is":false,"values":{"task(1).bad":1}}'


async def test_an_ignored_decision_takes_no_branch(engine: Engine) -> None:
    flow = await engine.register(*BRANCHES)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[2])
    assert (await statuses(engine, flow))[1:] == [
        (Status.IGNORE, "p"),
        (Status.IGNORE, "w"),
        (Status.IGNORE, "w"),
        (Status.IGNORE, "n"),
    ]
    await finish_first(engine)
    assert (await engine.flow(flow)).left == 0


async def test_a_snapshot_and_a_recovery_keep_what_was_decided(engine: Engine) -> None:
    flow = await engine.register(*BRANCHES, decision(6, 1), branch(7, 6, False))
    await finish_first(engine)
    (one, other) = await due(engine)
    await decide(engine.client, engine.partition, "a", [(one, outcome(one, {1: b'{"bad":3}'}))])
    await snapshot(engine.client, engine.partition, [flow], {})
    await engine.check()
    assert other.member == f"{flow}:6".encode()
    assert await statuses(engine, flow) == [
        (Status.FINISH, ""),
        (Status.FINISH, ""),
        (Status.WAIT, ""),
        (Status.IGNORE, "w"),
        (Status.WAIT, ""),
        (Status.WAIT, ""),
        (Status.WAIT, ""),
    ]


async def test_a_branch_with_a_rule_waits_for_its_decision_and_for_its_rule(engine: Engine) -> None:
    flow = await engine.register(
        task(1),
        decision(2, 1),
        task(3),
        branch(4, 2, True, 3, rule="any"),
        branch(5, 2, False, 3, rule="settled"),
        branch(6, 2, True, 5, rule="finished"),
    )
    first, third = await engine.claim()
    await engine.finish(third)
    assert await engine.claim() == []
    await engine.finish(first, payload=b'{"bad":3}')
    await decider(engine).run_once()
    assert (await statuses(engine, flow))[3:] == [
        (Status.WAIT, ""),
        (Status.IGNORE, "w"),
        (Status.IGNORE, "n"),
    ]
    assert [claim.task for claim in await engine.claim()] == [4]


@pytest.mark.parametrize(
    ("on_failure", "stands", "ended_as"),
    [("give_up", Status.SUSPEND, "x"), ("pass", Status.IGNORE, "p"), ("hold:60", Status.SUSPEND, "")],
)
async def test_what_its_definition_says_of_failures_follows_where_it_cannot_be_decided(
    engine: Engine, on_failure: str, stands: Status, ended_as: str
) -> None:
    flow = await engine.register(
        task(1), decision(2, 1, on_failure=on_failure), branch(3, 2, True), branch(4, 2, False)
    )
    await finish_first(engine, b'{"bad":"x"}')
    await decider(engine).run_once()
    found = (await engine.flow(flow)).task(2)
    assert (found.status, found.ended_as) == (stands, ended_as)
    await engine.check()
    await engine.bring_due()  # a time of being held is over, too
    found = await engine.flow(flow)
    assert found.ended_ms is not None
    assert [one.ended_as for one in found.tasks] == ["", ended_as or "x", "w", "w"]


async def test_a_branch_that_starts_when_something_fails_does_not_count_its_decision_that_was_held(
    engine: Engine,
) -> None:
    flow = await engine.register(
        *(task(1), task(2)), decision(3, 1, on_failure="hold:60"), branch(4, 3, False, 2, rule="failed")
    )
    first, second = await engine.claim()
    await engine.finish(first, payload=b'{"bad":"x"}')
    await decider(engine).run_once()
    await engine.check()
    await engine.bring_due()
    await engine.check()
    assert [one.ended_as for one in (await engine.flow(flow)).tasks] == ["", "", "x", "w"]
    await engine.suspend(second)
    await engine.check()


async def test_an_operator_brings_back_a_decision_that_was_passed_over_and_its_branches(
    engine: Engine,
) -> None:
    flow = await engine.register(*BRANCHES)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[2])
    await finish_first(engine)
    restored, results = await engine.restored(flow), results_of(await engine.flow(flow), [1])
    await unignore(
        engine.client, engine.partition, flow, by="ann", tasks=[2], restored=restored, results=results
    )
    await decider(engine).run_once()
    assert [claim.task for claim in await engine.claim()] == [3]


async def test_what_began_behind_branches_keeps_their_decision_passed_over(engine: Engine) -> None:
    flow = await engine.register(
        decision(1, condition="1 < 2"), branch(2, 1, True), task(3, 2, rule="settled")
    )
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[1])
    (claim,) = await engine.claim()
    assert claim.task == 3
    with pytest.raises(RefusedError) as refused:
        await unignore(engine.client, engine.partition, flow, by="ann", tasks=[1])
    assert refused.value.reason == "unignore-started"
    await engine.check()


async def test_a_branch_whose_rule_picked_others_runs_again_with_its_decision(engine: Engine) -> None:
    flow = await engine.register(
        decision(1, condition="1 < 2"), task(2), branch(3, 1, True, 2, rule="any"), task(4, 3)
    )
    await decider(engine).run_once()
    await engine.finish(*await engine.claim())
    (claim,) = await engine.claim()
    await engine.finish(claim)
    assert claim.task == 3
    with pytest.raises(RefusedError) as refused:
        await rerun(engine.client, engine.partition, flow, by="ann", selection=[1])
    assert refused.value.reason == "dependent-started"


async def test_another_version_that_needs_what_is_not_there_is_not_begun(engine: Engine) -> None:
    flow = await engine.register(
        decision(1, condition="1 < 2"),
        branch(2, 1, False),
        task(3, 2, rule="settled", parameters={"a": {"$from": 2, "optional": True}}),
    )
    await decider(engine).run_once()
    await engine.suspend(*await engine.claim())
    messages = await read_messages(engine.client, engine.partition, flow, [3])
    assert messages is not None
    now = (await engine.flow(flow)).task(3).planned
    new = msgspec.structs.replace(now, parameters={"a": {"$from": 2}}, rule="ready", definition="9f86d081")
    bodies = {3: Body.of(workflow="etl", now=now, message=messages[3], new=new)}
    await rerun(engine.client, engine.partition, flow, by="ann", selection="failed", bodies=bodies)
    assert (await engine.flow(flow)).task(3).ended_as == "n"
