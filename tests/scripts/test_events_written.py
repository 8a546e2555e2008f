"""What the scripts write into the log is what Python reads, in shapes that the golden files have."""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec

from flower_engine.flows.forks import plan_of_fork
from flower_engine.flows.matched_maps import earlier_of
from flower_engine.model.definitions.definition import (
    Keying,
    PlannedTask,
    TaskDefinition,
    TaskKeys,
    WorkflowDefinition,
    plan_flow,
)
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.operator_transitions import (
    Body,
    answer,
    cancel,
    ignore,
    pause,
    prioritise,
    read_messages,
    rerun,
    resume,
    unignore,
)
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.task_fields import with_parameters
from flower_engine.transitions.wait_transitions import Sent, signal
from flower_engine.transitions.worker_transitions import Outcome, Reported
from scripts.engine import Engine, chain, task
from scripts.schedules import Schedules
from scripts.trees import Trees, subflow

REFUSAL = b'{"type":"ParameterError","message":"no"}'
FAILURE = b'{"type":"ValueError","message":"no","traceback":"line 1"}'
STORED = b'{"sha256":"ab","bytes":70000,"store":"api"}'
GOLDEN = Path(__file__).parents[1] / "golden" / "events"


def shape(raw: bytes) -> str:
    """An event without its values: type and names of the fields in order, and those of an error."""
    event: dict[str, Any] = json.loads(raw)
    fields = [f"{name}({','.join(value)})" if name == "error" else name for name, value in event.items()]
    return f"{event['type']}: {' '.join(fields)}"


async def write_every_event(engine: Engine) -> None:
    await engine.tick()
    await write_what_waits_bring(engine)
    await engine.register(*chain(2))
    (returned,) = await engine.claim(worker="w1")
    await engine.give_back(returned, worker="w1")
    (unfit,) = await engine.claim(worker="w3")
    refusal = Outcome(unfit, OutcomeKind.UNFIT, REFUSAL, unfit=("a", "b"), others=("c",))
    await engine.exchange("w3", outcomes=[refusal], version="a")
    for lost in (1, 2):
        await engine.lose(*await engine.claim(worker="w2"), worker="w2")
        await engine.lapse(max_lost=lost + 1)
    await engine.finish(returned, worker="w1")
    (failed,) = await engine.claim()
    await engine.suspend(failed, payload=FAILURE)
    await engine.register(task(1))
    await engine.lose(*await engine.claim(worker="w2"), worker="w2")
    await engine.lapse(max_lost=1)
    await engine.register(*chain(2))
    await engine.work_off()
    await write_what_failures_bring(engine)
    await write_what_loops_bring(engine)
    await write_what_rules_bring(engine)
    await write_what_cleanup_brings(engine)
    await write_what_nobody_needs_brings(engine)
    await write_what_operators_bring(engine)
    await write_what_trees_bring(engine)


async def write_what_trees_bring(engine: Engine) -> None:
    where = (engine.client, engine.partition)
    trees = Trees(engine)
    await trees.define(task(1, program="C", task_name="one"), returns={"$from": "one"})
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await engine.suspend(*await engine.claim(), payload=FAILURE)
    await snapshot(*where, [flow, child], {})
    await rerun(*where, child, by="alice", selection="failed")
    await engine.work_off()
    await trees.settle()
    restored = await engine.restored(flow)
    await rerun(*where, flow, by="alice", selection=[1], children="keep", restored=restored)
    await rerun(*where, child, by="alice", selection=[1], restored=await engine.restored(child))
    await engine.work_off()
    await trees.settle()


async def write_what_rules_bring(engine: Engine) -> None:
    where = (engine.client, engine.partition)
    flow = await engine.register(
        task(1, on_failure="give_up"),
        task(2, 1),
        task(3, 1, rule="failed", on_failure="pass", stand_in={"rows": 0}),
        task(4, on_failure="pass"),
        task(5, 3, 4, rule="finished"),
        by="alice",
    )
    for claim in await engine.claim():
        await engine.suspend(claim, payload=FAILURE)
    (claim,) = await engine.claim()
    await snapshot(*where, [flow], {})
    await engine.suspend(claim, payload=FAILURE)
    await rerun(*where, flow, by="alice", selection="failed", restored=await engine.restored(flow))
    await engine.crash(*await engine.claim(), max_lost=1)
    held = await engine.register(
        task(1, on_failure="hold:60"), task(2, queue_timeout_ms=1, on_failure="give_up")
    )
    await engine.suspend(*await engine.claim(1), payload=FAILURE)
    await engine.bring_due()
    ignored = await engine.register(task(1), task(2, 1, rule="finished"), task(3))
    await ignore(*where, ignored, by="alice", tasks=[1])
    await unignore(*where, ignored, by="alice", tasks=[1])
    for claim in await engine.claim():
        await (engine.finish(claim) if claim.task == 3 else engine.suspend(claim))
    await ignore(*where, ignored, by="alice", tasks=[1])
    await engine.register(task(1, queue_timeout_ms=1, on_failure="pass", stand_in=[1]))
    await engine.bring_due()
    await engine.register(task(1, on_failure="give_up"))
    await engine.crash(*await engine.claim(), max_lost=1)
    await engine.register(task(1, on_failure="pass"))
    await engine.crash(*await engine.claim(), max_lost=1)
    plan = engine.plan(
        *(task(1), task(2, 1, rule="finished"), task(3, 1), task(4, 3, rule="any")),
        forked_from="another",
        ignored=[1],
    )
    await engine.start(plan, by="alice")
    await engine.work_off()
    assert (await engine.flow(held)).ended_ms is not None


async def write_what_nobody_needs_brings(engine: Engine) -> None:
    race = await engine.register(
        *(task(1), task(2), task(3), task(4, 2), task(5, 1, 3, 4, rule="any:cancel"), task(6, 5))
    )
    first, _, third = await engine.claim()
    await engine.suspend(third, payload=FAILURE)
    await engine.finish(first)
    await engine.exchange()
    await snapshot(engine.client, engine.partition, [race], {})
    await engine.work_off()
    others = range(2, 152)
    flow = await engine.register(task(1), *map(task, others), task(152, 1, *others, rule="any:cancel"))
    (first,) = await engine.claim(1)
    got = await engine.exchange(outcomes=[Outcome(first, OutcomeKind.FINISHED, b"1")], wanted=1)
    await engine.finish(*got.claims)
    assert (await engine.flow(flow)).left > 0
    await engine.work_off()
    plan = engine.plan(
        *(task(1), task(2), task(3, 1, 2, rule="any:cancel")), forked_from="another", taken={1: b"[1]"}
    )
    await engine.start(plan)
    await engine.work_off()


async def write_what_cleanup_brings(engine: Engine) -> None:
    where = (engine.client, engine.partition)
    rows = (task(1, on_failure="hold:3600"), task(2), task(3, 1), task(4, 1, 2, finally_=True))
    cancelled = await engine.register(*rows, cleanup_ms=600_000)
    await engine.claim(1)
    await ignore(*where, cancelled, by="alice", tasks=[2])
    await cancel(*where, cancelled, by="alice", reason="no need")
    await snapshot(*where, [cancelled], {})
    await engine.suspend(*await engine.claim(), payload=FAILURE)
    await rerun(*where, cancelled, by="alice", selection="failed")
    await ignore(*where, cancelled, by="alice", tasks=[4])
    failed = await engine.register(*rows)
    first, second = await engine.claim(2)
    await engine.suspend(first, payload=FAILURE)
    await engine.finish(second)
    await cancel(*where, failed, by="alice")
    await engine.bring_due()
    late = await engine.register(*rows, task(5), timeout_ms=1)
    await engine.claim(2)
    await engine.bring_due()
    await snapshot(*where, [late], {})
    await engine.bring_due()
    ignored = await engine.register(task(1), task(2, 1, finally_=True), task(3, 2))
    await engine.claim(1)
    await cancel(*where, ignored, by="alice")
    await ignore(*where, ignored, by="alice", tasks=[2])
    await unignore(*where, ignored, by="alice", tasks=[2])
    await engine.work_off()


async def write_what_loops_bring(engine: Engine) -> None:
    await engine.register(task(1))
    await engine.again(*await engine.claim(), given=b'{"cursor":1}')
    await engine.again(*await engine.claim(), after_ms=1)
    await engine.bring_due()
    await engine.work_off()
    trees = Trees(engine)
    await trees.define(task(1), task(2, program="B"))
    await engine.register(subflow(1))
    await trees.settle()
    for after_ms in (1, 0):
        (asks, *_) = await engine.claim()
        await engine.flow_again(asks, given=b"{}", after_ms=after_ms)
        await engine.bring_due()
        await trees.settle()
        await engine.bring_due()
        await trees.settle()
    await engine.work_off()


async def write_what_failures_bring(engine: Engine) -> None:
    once = RetryPolicy(max_attempts=2, delay_ms=0, no_retry_on=("ValueError",))
    await engine.register(task(1, retry=once, timeout_ms=60_000, queue_timeout_ms=60_000))
    (failed,) = await engine.claim()
    engine.heartbeat("w1", failed, progress=[Reported(failed, b'{"fraction":0.5,"note":"half"}')])
    engine.heartbeat("w1", failed, progress=[Reported(failed, b'{"note":"no share"}')])
    engine.heartbeat("w1", failed, progress=[Reported(failed, b"{}")])
    await engine.fail(failed, payload=b'{"type":"E","message":"no","traceback":"line 1"}')
    await engine.bring_due()
    await engine.crash(*await engine.claim(), max_lost=3)
    await engine.crash(*await engine.claim(), max_lost=2)
    await engine.register(task(1, queue_timeout_ms=60_000))
    await engine.bring_due()
    flow = await engine.register(task(1), task(2), timeout_ms=60_000)
    await engine.claim(1)
    await engine.bring_due()
    await rerun(engine.client, engine.partition, flow, by="alice", selection="failed")
    await engine.work_off()


async def write_what_operators_bring(engine: Engine) -> None:
    where = (engine.client, engine.partition)
    plan = engine.plan(task(1), task(2, 1), task(3, 2), forked_from="another", taken={1: b"[1]"}, ignored=[2])
    await engine.start(plan, by="alice", key="order 7", delay_ms=20)
    await engine.bring_due()
    await engine.start(engine.plan(task(1), definition="9f86d081"), by="alice")
    await engine.register(task(1), traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    await engine.work_off()
    flow = await engine.register(task(1), task(2, 1), task(3, 2), by="alice")
    await pause(*where, flow, by="alice", reason="look first")
    await resume(*where, flow, by="alice")
    await ignore(*where, flow, by="alice", tasks=[1], reason="known")
    await unignore(*where, flow, by="alice", tasks=[1])
    await ignore(*where, flow, by="alice", tasks=[1, 2, 3])
    many = await engine.register(*(task(number) for number in range(1, 6)))
    await engine.suspend(*(claim for claim in await engine.claim(2) if claim.flow == many))
    await ignore(*where, many, by="alice", tasks=[1, 3], reason="known")
    await ignore(*where, many, by="alice", tasks=[2, 4], result=b'{"rows":0}')
    await ignore(*where, many, by="alice", tasks=[5])
    messages = (await engine.restored(flow)).messages([1])
    new = {1: (messages[1], with_parameters(messages[1], {"A": 1}))}
    restored = await engine.restored(flow)
    await rerun(*where, flow, by="alice", selection=[1], messages=new, scope="dependents", restored=restored)
    one = await engine.register(task(1), task(2))
    for claim in await engine.claim():
        fails = claim.flow == one and claim.task == 1
        await (engine.suspend(claim, payload=FAILURE) if fails else engine.finish(claim))
    await cancel(*where, flow, by="alice", reason="no need")
    await cancel(*where, one, by="alice")
    two = await engine.register(task(1), task(2, 1))
    await engine.claim()
    await prioritise(*where, two, by="alice", priority=-3)
    await engine.control(FlowControl(scope="program", name="A", max_running=2, changed_by="alice"))
    await engine.control()
    await cancel(*where, two, by="alice")
    three = await engine.register(task(1))
    messages = await read_messages(*where, three, [1])
    assert messages is not None
    new = {1: (messages[1], with_parameters(messages[1], {"A": "c"}))}
    keys = {1: TaskKeys(fair_key="c", program_key="c")}
    await rerun(*where, three, by="alice", selection=[1], messages=new, keys=keys)
    await engine.work_off()
    await write_what_a_version_brings(engine)
    await write_what_schedules_bring(engine)
    await write_what_a_bridge_brings(engine)
    await write_what_data_brings(engine)
    await write_what_maps_bring(engine)
    await write_what_matching_brings(engine)
    await write_what_decisions_bring(engine)
    await write_what_a_task_may_say(engine)


async def write_what_a_version_brings(engine: Engine) -> None:
    where = (engine.client, engine.partition)
    flow = await engine.register(task(1), task(2, 1))
    await engine.suspend(*await engine.claim(), payload=FAILURE)
    found = await read_messages(*where, flow, [1])
    assert found is not None
    now = (await engine.flow(flow)).task(1).planned
    policy = RetryPolicy(max_attempts=2, no_retry_on=("KeyError",))
    new = msgspec.structs.replace(now, parameters={"A": 2.5}, retry=policy, units=2, definition="9f86d081")
    bodies = {1: Body.of(workflow="etl", now=now, message=found[1], new=new)}
    await rerun(*where, flow, by="alice", selection="failed", bodies=bodies)
    await engine.work_off()


async def write_what_schedules_bring(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1, previous=0))
    await nightly.propose(nightly.fire(2), overlap="queue")
    await snapshot(engine.client, engine.partition, [nightly.flow(1)], {})
    for number in (2, 3, 4, 5):
        detail = "a flow of it" if number == 4 else ""
        await nightly.propose(nightly.fire(number, detail=detail), overlap="skip")
    await nightly.propose(nightly.miss(6, 7), nightly.miss(8, 8, "skip", "paused"))
    await engine.suspend(*await engine.claim(), payload=FAILURE)
    await nightly.propose(nightly.fire(9), next_due_ms=None, overlap="cancel")
    await snapshot(engine.client, engine.partition, [nightly.flow(9)], {})
    await nightly.define(version=2, state="problem", problem="timezone: there is no zone 'Mars'")
    for version, state in enumerate(("paused", "finished", "deleted"), start=3):
        await nightly.define(version=version, state=state)
    await engine.work_off()


async def write_what_a_bridge_brings(engine: Engine) -> None:
    where = (engine.client, engine.partition)
    policy = RetryPolicy(max_attempts=3, delay_ms=200_000, no_retry_on=("ValueError",))
    rich = task(1, retry=policy, timeout_ms=60_000, priority=-3, units=2, parameters={"A": [1]})
    begun = await engine.register(rich, task(2, 1), task(3), task(4), workflow='nightly "花" load')
    first, second, third = await engine.claim()
    engine.heartbeat("w1", first, progress=[Reported(first, b'{"fraction":0.5,"note":"half"}')])
    await engine.fail(first, payload=FAILURE)
    await engine.finish(second)
    await engine.suspend(third, payload=FAILURE)
    later = await engine.register(task(1), timeout_ms=60_000, delay_ms=600_000, key="order 8")
    await pause(*where, later, by="alice")
    timed = await engine.register(task(1), timeout_ms=60_000)
    loops = await engine.register(task(1, max_rounds=5), task(2, program="B"))
    claims = await engine.claim()
    await engine.again(*(one for one in claims if (one.flow, one.task) == (loops, 1)), given=b'{"cursor":40}')
    await snapshot(*where, [begun, later, timed, loops], {later: "order 8"})


async def write_what_waits_bring(engine: Engine) -> None:
    where = (engine.client, engine.partition)
    limits = {"timeout_seconds": 60, "on_timeout": "default", "default": {"paid": 0}}
    flow = await engine.register(
        task(1, program="@sleep", parameters={"seconds": 0.001}),
        task(2, program="@event", parameters={"name": "paid"}),
        task(3, program="@approval", parameters={"of": 2}),
        task(4, 1, program="@event", parameters={"name": "paid", "key": "7"}),
        task(5, program="@event", parameters={"name": "packed", **limits}),
        task(6, program="@event", parameters={"name": "packed", "timeout_seconds": 60}),
    )
    paid = Sent(name="paid", id="order 6", by="shop", payload=b'{"paid":6}')
    await signal(*where, paid, [flow])
    for number, key in ((7, "7"), (8, "8"), (9, "")):
        await signal(*where, Sent(name="paid", id=f"order {number}", by="shop", key=key), [flow])
    await answer(*where, flow, by="alice", task=3, answer=b'{"approved":true}')
    await snapshot(*where, [flow], {})
    await engine.bring_due()
    await answer(*where, flow, by="bob", task=3, answer=b'{"approved":true}')
    await engine.register(task(1, program="@event", parameters={"name": "paid"}))
    flows = [name for name, state in (await engine.flows()).items() if state.ended_ms is None]
    await signal(*where, msgspec.structs.replace(paid, id="all"), flows, "each")
    await engine.register(task(1, program="@sleep", parameters={"seconds": 0.001}))
    await engine.bring_due()


async def write_what_maps_bring(engine: Engine) -> None:
    over = {"over": {"$from": 1}, "program": "A", "as": "n"}
    decider = Decider(engine.client, engine.partition, "w1", put=stored)
    flow = await engine.register(
        task(1), task(2, program="@map", parameters=over), task(3, 2, parameters={"all": {"$from": 2}})
    )
    for lines in (b'["a"]', b'["b","c"]'):
        claim = next(claim for claim in await engine.claim() if claim.flow == flow)
        await engine.finish(claim, payload=lines)
        await decider.run_once()
        first, *_ = await engine.claim()
        await engine.finish(first, payload=b'"%b"' % (b"x" * 70_000))
        if lines == b'["a"]':
            await decider.run_once()
            await rerun(engine.client, engine.partition, flow, by="alice", selection=[1], scope="dependents")
    await snapshot(engine.client, engine.partition, [flow], {})
    await cancel(engine.client, engine.partition, flow, by="alice")


async def write_what_matching_brings(engine: Engine) -> None:
    """A map has its items anew, which take over what the same ones came to; it is told anew before that."""
    where = (engine.client, engine.partition)
    over = {"over": {"$from": 1}, "program": "A", "as": "n"}
    decider = Decider(engine.client, engine.partition, "w1", put=stored)
    flow = await engine.register(task(1), task(2, program="@map", parameters=over))
    (claim,) = [claim for claim in await engine.claim() if claim.flow == flow]
    await engine.finish(claim, payload=b'["a","b"]')
    await decider.run_once()
    first, second = await engine.claim()
    await engine.finish(first, payload=b"[1]")
    await engine.store(second, payload=STORED)
    earlier = earlier_of(await engine.flow(flow), [2])
    await rerun(*where, flow, by="alice", selection=[2], scope="changed", earlier=earlier)
    await snapshot(*where, [flow], {})
    await decider.run_once()
    state = await engine.flow(flow)
    await cancel(*where, flow, by="alice")
    await engine.start(plan_of_fork(state, [5], {}, Keying()))


async def write_what_decisions_bring(engine: Engine) -> None:
    """Branches that are taken, not taken, and never reached; what follows is passed over with them, or ends
    the flow; and a fork takes over what a decision came to."""
    where = (engine.client, engine.partition)
    decider = Decider(engine.client, engine.partition, "w1")
    asked = {"condition": ["gt", {"$from": 1, "path": "/bad"}, 2]}
    rows = (
        task(1),
        task(2, program="@when", parameters=asked),
        task(3, 2, when=(2, True)),
        task(4, 2, when=(2, False)),
        task(5, 4),
        task(6, 3, 4),
        task(7, 1, 2, rule="any", program="@sleep", parameters={"seconds": 600}),
    )
    for bad in (b'{"bad":3}', b'{"bad":1}'):
        flow = await engine.register(*rows)
        await engine.finish(*await engine.claim(), payload=bad)
        await decider.run_once()
        await snapshot(*where, [flow], {})
        state = await engine.flow(flow)
        await cancel(*where, flow, by="alice")
    taken = {seq: state.task(seq).result or b"null" for seq in (1, 2)}
    plan = engine.plan(*rows[:6], forked_from="another", taken=taken)
    await engine.start(plan)
    await engine.register(
        task(1, program="@when", parameters={"condition": False}), task(2, 1, when=(1, True))
    )
    await decider.run_once()
    await engine.work_off()


async def write_what_a_task_may_say(engine: Engine) -> None:
    """Flows of which everything is said that can be; one is told anew in the middle of a map."""
    where = (engine.client, engine.partition)
    keyed = TaskDefinition(
        task_seq=1,
        program="A",
        parameters={"customer": "c1"},
        on_failure="pass",
        stand_in=[1],
        units=2,
    )
    over = {"over": ["c1", "c2", "c3"], "program": "A", "as": "customer"}
    keying = Keying(fair_by="customer", limit_by="customer", programs={"A": "customer"})
    rows = (
        keyed,
        task(2, program="@map", parameters=over),
        task(3, 1, 2, rule="any"),
        task(4, on_failure="give_up"),
        task(5, 4),
    )
    planned = plan_flow(WorkflowDefinition(name="keyed", tasks=rows, keying=keying))
    planned = [msgspec.structs.replace(one, definition="9f86d081") for one in planned]
    flow = (await engine.start(FlowPlan("keyed", planned, keying=keying))).flow
    await Decider(engine.client, engine.partition, "w1", put=stored).run_once()
    claims = {claim.task: claim for claim in await engine.claim(4)}
    assert sorted(claims) == [1, 4, 6, 7]
    await engine.finish(claims[1], payload=b"[1]")
    await engine.suspend(claims[4], claims[6], payload=FAILURE)
    await engine.lose(claims[7], worker="w1")
    await engine.lapse()
    await ignore(*where, flow, by="alice", tasks=[3], result=b"[3]")
    await snapshot(*where, [flow], {})
    await ignore(*where, flow, by="alice", tasks=[7])
    await rerun(*where, flow, by="alice", selection=[2])
    await snapshot(*where, [flow], {})
    await cancel(*where, flow, by="alice")
    bounds = {"limit": 1, "tolerate": 0.5, "key": ""}
    bounded = await engine.register(task(1, program="@map", parameters={**over, **bounds}))
    await Decider(engine.client, engine.partition, "w1", put=stored).run_once()
    await snapshot(*where, [bounded], {})
    await cancel(*where, bounded, by="alice")
    await write_what_chains_bring(engine, {**over, **bounds})


async def write_what_chains_bring(engine: Engine, over: dict[str, Any]) -> None:
    where = (engine.client, engine.partition)
    along = {"over": {"$from": 1}, "program": "A", "as": "customer", "aligned": True}
    chained = await engine.register(
        task(1, program="@map", parameters=over), task(2, 1, program="@map", parameters=along)
    )
    await Decider(engine.client, engine.partition, "w1", put=stored).run_once()
    await snapshot(*where, [chained], {})
    await cancel(*where, chained, by="alice")


async def stored(content: bytes) -> BlobRef:
    return BlobRef(sha256="ab", bytes=len(content), store="api")


async def write_what_data_brings(engine: Engine) -> None:
    given = {"rows": {"$from": 1, "path": "/rows"}, "old": {"$from": "second", "optional": True}}
    reader = PlannedTask(
        seq=3,
        task_seq=3,
        program="A",
        depends_on=(1, 2),
        parameters=given,
        reads={"1": 1, "second": 2},
        refs=True,
    )
    first, second = (PlannedTask(seq=seq, task_seq=seq, program="A") for seq in (1, 2))
    last = PlannedTask(seq=4, task_seq=4, program="A", depends_on=(3,))
    made: dict[str, Any] = {"parameters": {"day": "2026-01-05"}, "definition": "ab12"}
    plan = FlowPlan("etl", (first, second, reader, last), **made)
    flow = (await engine.start(plan, by="alice")).flow
    claim = next(claim for claim in await engine.claim() if claim.flow == flow)
    await engine.store(claim, payload=STORED)
    where = (engine.client, engine.partition)
    other = (await engine.start(plan)).flow
    await ignore(*where, other, by="alice", tasks=[1], reason="known", result=b'{"rows":0}')
    await snapshot(*where, [flow, other], {})
    await cancel(*where, flow, by="alice")
    await cancel(*where, other, by="alice")
    blob = BlobRef(sha256="ab", bytes=70_000, store="api")
    fork = FlowPlan(
        "etl",
        (first, second, reader),
        forked_from="another",
        taken={1: blob},
        ignored=[2],
        stand_ins={2: b"[2]"},
        **made,
    )
    ended = (await engine.start(fork)).flow
    await ignore(*where, ended, by="alice", tasks=[3], result=b"null")
    await engine.start(FlowPlan("etl", (first,)))
    await engine.store(*await engine.claim(), payload=STORED)


async def test_every_event_type_is_written_and_can_be_decoded(engine: Engine) -> None:
    await write_every_event(engine)
    written = {type(event) for event in await engine.events()}
    assert written == set(get_args(AnyEvent))


async def test_the_scripts_write_only_shapes_that_have_a_golden_file(engine: Engine) -> None:
    await write_every_event(engine)
    golden = {shape(file.read_bytes()) for file in GOLDEN.glob("*/lua*.json")}
    written = {shape(raw) for raw in await engine.raw_events()}
    assert written <= golden, "a new shape needs a golden file: see tests/golden/README.md"
