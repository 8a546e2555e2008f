"""What flows keep of results: while a task that is not final reads them, and no longer."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import NeedsResultsError, RefusedError
from flower_engine.log.client import send
from flower_engine.log.reader import read_log
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import TaskFinished
from flower_engine.model.events.events import decode_event
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.flow_control.flow_control import Strike
from flower_engine.model.folding.fold import fold
from flower_engine.model.folding.kept_results import kept_results
from flower_engine.model.folding.snapshot_registration import registration_of
from flower_engine.model.invariants.kept_invariants import value_differences
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.transitions.operator_transitions import cancel, ignore, read_messages, rerun, unignore
from flower_engine.transitions.park_transitions import park, unpark
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.snapshot_transitions import snapshot
from flower_engine.transitions.task_fields import with_parameters
from flower_engine.transitions.worker_transitions import (
    Claim,
    Exchange,
    Outcome,
    Service,
    finish_and_claim,
    read_inputs,
)
from scripts.engine import Engine, chain

BLOB = b'{"sha256":"ab","bytes":70000,"store":"api"}'


def reader(seq: int, *reads: int, optional: tuple[int, ...] = (), after: tuple[int, ...] = ()) -> PlannedTask:
    """A task that reads the results of others; it can do without those of ``optional``."""
    names = {str(other): other for other in (*reads, *optional)}
    given: dict[str, Any] = {f"p{other}": {"$from": other} for other in reads}
    given |= {f"o{other}": {"$from": other, "optional": True} for other in optional}
    return PlannedTask(
        seq=seq,
        task_seq=seq,
        program="A",
        depends_on=tuple(sorted({*names.values(), *after})),
        parameters=given,
        reads=names,
        refs=bool(names),
    )


def pipe(length: int) -> list[PlannedTask]:
    """Each task reads the result of the one before it."""
    return [reader(1), *(reader(seq, seq - 1) for seq in range(2, length + 1))]


async def total(engine: Engine) -> int:
    """How many bytes the partition counts."""
    return int(await send(engine.client, "HGET", engine.keys.meta, "kept") or 0)


class Run:
    """One flow, and a worker that runs it."""

    def __init__(self, engine: Engine, flow: str) -> None:
        self.engine, self.flow = engine, flow
        self.held: dict[int, Claim] = {}

    async def take(self, wanted: int = 100, outcomes: list[Outcome] | None = None, **more: Any) -> Exchange:
        """One call; the results in its reply are those of this flow."""
        got = await self.engine.exchange(outcomes=outcomes or [], wanted=wanted, **more)
        assert all(word == "ok" for word in got.words)
        self.held.update({claim.task: claim for claim in got.claims})
        return got

    async def end(
        self, seq: int, payload: bytes = b"null", kind: OutcomeKind = OutcomeKind.FINISHED, wanted: int = 100
    ) -> dict[int, bytes]:
        """Hands a result in, and claims what follows; what that reads."""
        got = await self.take(wanted, [Outcome(self.held.pop(seq), kind, payload)])
        return {task: result for (_, task), result in got.results.items()}

    async def kept(self) -> dict[int, bytes]:
        """What Redis keeps of the flow's results; all of Redis is as it should be."""
        await self.engine.check()
        key = self.engine.keys.flow(self.flow)
        fields: dict[bytes, bytes] = await send(self.engine.client, "HGETALL", key)
        found = {int(name[1:]): value for name, value in fields.items() if name.startswith(b"r") and value}
        if fields:
            assert list(value_differences(await self.engine.flow(self.flow), found)) == []
        assert await total(self.engine) == sum(map(len, found.values()))
        return found

    @property
    def where(self) -> tuple[Any, Any, str]:
        return self.engine.client, self.engine.partition, self.flow


async def begin(engine: Engine, *tasks: PlannedTask, **fork: Any) -> Run:
    return Run(engine, (await engine.start(FlowPlan("etl", tasks, **fork))).flow)


async def test_a_result_is_kept_until_its_last_reader_is_final(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1), reader(3, 1, after=(2,)))
    await run.take()
    assert await run.end(1, b'{"rows":7}') == {1: b'={"rows":7}'}
    assert await run.kept() == {1: b'={"rows":7}'}
    assert await run.end(2) == {1: b'={"rows":7}'}
    assert await run.kept() == {1: b'={"rows":7}'}
    assert await run.end(3) == {}
    assert await run.kept() == {}


async def test_what_nobody_reads_is_not_kept(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, after=(1,)), reader(3, 2))
    await run.take()
    assert await run.end(1, b"[1]") == {}
    assert await run.kept() == {}
    assert await run.end(2, b"[2]") == {2: b"=[2]"}
    assert await run.kept() == {2: b"=[2]"}


async def test_a_flow_without_data_has_nothing_of_it(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    (claim,) = await engine.claim()
    got = await engine.exchange(outcomes=[Outcome(claim, OutcomeKind.FINISHED, b"[1]")], wanted=1)
    assert (got.results, got.full) == ({}, frozenset())
    names: list[bytes] = await send(engine.client, "HKEYS", engine.keys.flow(flow))
    assert {name[:1] for name in names} == {b"c", b"m", b"l", b"d", b"s"}
    assert await send(engine.client, "HEXISTS", engine.keys.meta, "kept") == 0


async def test_a_result_in_a_blob_is_kept_as_where_it_lies(engine: Engine) -> None:
    run = await begin(engine, *pipe(2))
    await run.take()
    assert await run.end(1, BLOB, OutcomeKind.STORED) == {1: b"@" + BLOB}
    assert await run.kept() == {1: b"@" + BLOB}
    (finished,) = [event for event in await engine.events() if isinstance(event, TaskFinished)]
    assert finished.blob == BlobRef(sha256="ab", bytes=70_000, store="api")
    assert (await engine.flow(run.flow)).task(1).result is None


async def test_each_result_is_in_a_reply_once_a_flow(engine: Engine) -> None:
    one = await begin(engine, reader(1), *(reader(seq, 1) for seq in range(2, 7)))
    other = await begin(engine, *pipe(2))
    claims = await engine.claim()
    outcomes = [Outcome(claim, OutcomeKind.FINISHED, b'"x"') for claim in claims]
    got = await engine.exchange(outcomes=outcomes, wanted=100)
    assert [claim.task for claim in got.claims] == [2, 3, 4, 5, 6, 2]
    assert got.results == {(one.flow, 1): b'="x"', (other.flow, 1): b'="x"'}


async def test_the_reply_sent_again_has_the_same_results(engine: Engine) -> None:
    run = await begin(engine, *pipe(2))
    (claim,) = await engine.claim()
    outcome = Outcome(claim, OutcomeKind.FINISHED, b"[1]")
    first = await engine.call("w1", 7, outcomes=[outcome], wanted=5)
    again = await engine.call("w1", 7, outcomes=[outcome], wanted=5, answered=1)
    assert again == first
    assert first.results == {(run.flow, 1): b"=[1]"}
    assert await run.kept() == {1: b"=[1]"}
    await engine.tick()
    await engine.lose(*first.claims)
    await engine.lapse()
    again = await engine.call("w1", 7, outcomes=[outcome], wanted=5, answered=1)
    assert (again.claims, again.results) == ([], {})


async def test_an_outcome_that_is_refused_keeps_nothing(engine: Engine) -> None:
    run = await begin(engine, *pipe(2))
    (zombie,) = await engine.claim()
    await engine.tick()
    await engine.lose(zombie)
    await engine.lapse()
    assert await engine.finish(zombie, payload=b'"late"') == ["stale"]
    assert await run.kept() == {}
    await run.take()
    await run.end(1, b'"new"', wanted=0)
    assert await engine.finish(zombie, payload=b'"late"') == ["stale"]
    assert await run.kept() == {1: b'="new"'}


async def test_a_retry_and_a_lapse_of_the_reader_get_the_result_again(engine: Engine) -> None:
    run = await begin(engine, *pipe(2))
    await run.take()
    await run.end(1, b"[1]")
    await engine.give_back(run.held.pop(2))
    assert (await run.take()).results == {(run.flow, 1): b"=[1]"}
    await engine.tick()
    await engine.lose(run.held.pop(2))
    await engine.lapse()
    assert (await run.take()).results == {(run.flow, 1): b"=[1]"}
    assert await run.kept() == {1: b"=[1]"}


async def test_what_does_not_fit_into_the_reply_is_read_in_pages(engine: Engine) -> None:
    width = 40
    run = await begin(
        engine, *(reader(seq) for seq in range(1, width + 1)), reader(width + 1, *range(1, width + 1))
    )
    producers = (await run.take()).claims
    sizes = {claim.task: 60_000 if claim.task > 1 else 700_000 for claim in producers}
    outcomes = [
        Outcome(claim, OutcomeKind.FINISHED, b'"' + b"x" * sizes[claim.task] + b'"') for claim in producers
    ]
    got = await run.take(1, outcomes)
    (claim,) = got.claims
    assert got.results == {}  # the first one is larger than a reply may be
    tasks = list(range(1, width + 1))
    found = await read_inputs(engine.client, engine.partition, claim, tasks)
    assert found is not None
    assert {seq: len(payload) - 3 for seq, payload in found.items()} == sizes
    assert list(found) == tasks
    await engine.give_back(claim)
    assert await read_inputs(engine.client, engine.partition, claim, tasks) is None


async def test_as_much_as_fits_is_in_the_reply(engine: Engine) -> None:
    run = await begin(engine, *(reader(seq) for seq in range(1, 7)), reader(7, *range(1, 7)))
    outcomes = [
        Outcome(claim, OutcomeKind.FINISHED, b'"' + b"x" * 60_000 + b'"')
        for claim in (await run.take()).claims
    ]
    got = await run.take(1, outcomes)
    assert [task for _, task in got.results] == [1, 2, 3, 4]


async def test_a_parameter_that_looks_like_the_end_of_a_message_is_none(engine: Engine) -> None:
    odd = {"reads": {"x": 7}, "refs": True, "text": '"reads":{"x":7},"refs":true}'}
    tasks = [reader(1), msgspec.structs.replace(reader(2, after=(1,)), parameters=odd), reader(3, 1)]
    run = await begin(engine, *tasks)
    await run.take()
    assert await run.end(1, b"[1]", wanted=1) == {}
    assert (await run.take()).results == {(run.flow, 1): b"=[1]"}


async def test_a_full_flow_has_its_results_stored(engine: Engine) -> None:
    run = await begin(
        engine, *(reader(seq) for seq in range(1, 7)), reader(7, *range(1, 7)), reader(8, after=(1,))
    )
    claims = {claim.task: claim for claim in (await run.take(5)).claims}
    large = b'"' + b"x" * 1_000_000 + b'"'
    outcomes = [Outcome(claims[seq], OutcomeKind.FINISHED, large) for seq in (1, 2, 3, 4)]
    assert (await run.take(0, outcomes)).full == frozenset()
    got = await run.take(5, [Outcome(claims[5], OutcomeKind.FINISHED, large)])
    assert {claim.task: claim.lease in got.full for claim in got.claims} == {6: True, 8: False}


async def test_a_full_partition_has_its_results_stored(engine: Engine) -> None:
    run = await begin(engine, *pipe(3))
    await run.take()
    got = await run.end(1, b'"xxxx"', wanted=0)
    service = Service(("default",), ("A",)).args()
    got = await finish_and_claim(
        *(engine.client, engine.partition, "w2", 1),
        answered=0,
        outcomes=[],
        wanted=5,
        service_args=service,
        most_kept=5,
    )
    assert got.full == {claim.lease for claim in got.claims}


async def test_a_cancelled_flow_keeps_nothing(engine: Engine) -> None:
    run = await begin(engine, *pipe(3))
    await run.take()
    await run.end(1, b"[1]")
    assert await total(engine) == len(b"=[1]")
    await cancel(*run.where, by="alice")
    assert await total(engine) == 0
    assert await engine.finish(run.held[2], payload=b"[2]") == ["stale"]
    assert await run.kept() == {}


async def test_a_struck_task_reads_no_more_and_has_no_result(engine: Engine) -> None:
    struck = msgspec.structs.replace(reader(2, 1), parameters={"p1": {"$from": 1}, "K": "bad"})
    await engine.control(strikes=[Strike(id="s", program="A", parameter="K", value="bad")])
    run = await begin(engine, reader(1), struck, reader(3, 2))
    await run.take()
    await run.end(1, b"[1]", wanted=0)
    await run.take()
    assert (await engine.flow(run.flow)).task(2).status.word == "Ignore"
    assert await run.kept() == {}
    assert (await run.take()).results == {(run.flow, 2): b"-"}


async def test_a_rerun_of_a_producer_reopens_what_read_its_result(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1), reader(3, 2), reader(4, after=(3,)))
    await run.take()
    for seq in (1, 2, 3):
        await run.end(seq, b"[%d]" % seq, wanted=0 if seq == 3 else 1)
    done = await rerun(*run.where, by="alice", selection=[1])
    assert done.tasks == (1, 2, 3)
    assert await run.kept() == {}
    assert (await run.take()).results == {}
    assert await run.end(1, b'"new"') == {1: b'="new"'}


async def test_a_rerun_of_this_alone_leaves_what_read_its_result(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1), reader(3, 1, after=(2,)))
    await run.take()
    await run.end(1, b"[1]")
    await run.end(2, wanted=0)
    assert (await rerun(*run.where, by="alice", selection=[1], scope="only")).tasks == (1,)
    assert await run.kept() == {}
    await run.take()
    assert await run.end(1, b"[2]") == {1: b"=[2]"}


async def test_a_rerun_of_a_producer_of_what_finished_without_reading_it_is_refused(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1), reader(3, after=(1,)))
    await run.take()
    await run.end(1)
    await run.end(3, wanted=0)
    await engine.give_back(run.held.pop(2))
    with pytest.raises(RefusedError, match="task 3 depends on task 1"):
        await rerun(*run.where, by="alice", selection=[1])


async def test_a_rerun_of_a_reader_needs_the_results_that_are_gone(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1), reader(3, 2))
    await run.take()
    await run.end(1, b"[1]")
    await run.end(2, b"[2]", wanted=0)
    with pytest.raises(NeedsResultsError) as needs:
        await rerun(*run.where, by="alice", selection=[2])
    assert needs.value.tasks == (1,)
    assert await run.kept() == {2: b"=[2]"}
    with pytest.raises(NeedsResultsError):  # of another attempt
        await rerun(*run.where, by="alice", selection=[2], results={1: (2, b"=[1]")})
    await rerun(*run.where, by="alice", selection=[2], results={1: (1, b"=[1]")})
    assert await run.kept() == {1: b"=[1]"}
    assert (await run.take()).results == {(run.flow, 1): b"=[1]"}


async def test_a_rerun_of_an_ended_flow_needs_its_results(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1))
    await engine.work_off()
    restored = await engine.restored(run.flow)
    with pytest.raises(NeedsResultsError):
        await rerun(*run.where, by="alice", selection=[2], restored=restored)
    assert await run.kept() == {}
    given = {1: (1, b"=null")}
    await rerun(*run.where, by="alice", selection=[2], restored=restored, results=given)
    assert await run.kept() == {1: b"=null"}
    await engine.work_off()
    assert await run.kept() == {}


async def test_a_rerun_may_need_very_many_results(engine: Engine) -> None:
    width = 9_000
    first = reader(1)
    taken = {seq: b"%d" % seq for seq in range(1, width + 1)}
    wide = [msgspec.structs.replace(first, seq=seq, task_seq=seq) for seq in taken]
    run = await begin(engine, *wide, reader(width + 1, *taken), taken=taken)
    await run.take()
    await run.end(width + 1)
    restored = await engine.restored(run.flow)
    with pytest.raises(NeedsResultsError) as needs:
        await rerun(*run.where, by="alice", selection=[width + 1], restored=restored)
    assert needs.value.tasks == tuple(taken)
    given = {seq: (0, b"=%d" % seq) for seq in taken}
    await rerun(*run.where, by="alice", selection=[width + 1], restored=restored, results=given)
    (claim,) = (await run.take()).claims
    found = await read_inputs(engine.client, engine.partition, claim, list(taken))
    assert found == {seq: b"=%d" % seq for seq in taken}


async def test_a_rerun_with_a_value_in_place_of_a_result_does_not_need_it(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1), reader(3, 2))
    await run.take()
    await run.end(1, b"[1]")
    await run.end(2, b"[2]", wanted=0)
    messages = await read_messages(*run.where, [2])
    assert messages is not None
    new = {2: (messages[2], with_parameters(messages[2], {"p1": 5}))}
    await rerun(*run.where, by="alice", selection=[2], messages=new)
    assert await run.kept() == {}
    assert (await run.take()).results == {}


async def test_a_task_whose_result_is_needed_cannot_be_ignored(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1), reader(3, 1), reader(4, optional=(1,)))
    with pytest.raises(RefusedError, match="the result of task 1 is needed by tasks 2 and 3") as refused:
        await ignore(*run.where, by="alice", tasks=[1])
    assert refused.value.reason == "needed"
    await ignore(*run.where, by="alice", tasks=[1, 2, 3])
    assert (await run.take()).results == {(run.flow, 1): b"-"}


async def test_a_result_stands_in_for_that_of_an_ignored_task(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1))
    await ignore(*run.where, by="alice", tasks=[1], result=b'{"rows":0}')
    assert await run.kept() == {1: b'={"rows":0}'}
    assert (await engine.flow(run.flow)).task(1).result == b'{"rows":0}'
    await unignore(*run.where, by="alice", tasks=[1])
    assert await run.kept() == {}
    await ignore(*run.where, by="alice", tasks=[1], result=b"[]")
    assert (await run.take()).results == {(run.flow, 1): b"=[]"}


async def test_an_ignored_reader_reads_no_more_until_it_waits_again(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2, 1), reader(3, after=(2,)))
    await run.take()
    await run.end(1, b"[1]", wanted=0)
    await ignore(*run.where, by="alice", tasks=[2])
    assert await run.kept() == {}
    with pytest.raises(NeedsResultsError):
        await unignore(*run.where, by="alice", tasks=[2])
    await unignore(*run.where, by="alice", tasks=[2], results={1: (1, b"=[1]")})
    assert await run.kept() == {1: b"=[1]"}


async def test_a_fork_keeps_what_its_tasks_read(engine: Engine) -> None:
    taken = {1: b"[1]", 2: BlobRef(sha256="ab", bytes=1, store="api")}
    run = await begin(
        engine, *map(reader, (1, 2, 3)), reader(4, 1, 2, 3), taken=taken, ignored=[3], stand_ins={3: b"[3]"}
    )
    stored = b'@{"sha256":"ab","bytes":1,"store":"api"}'
    assert await run.kept() == {1: b"=[1]", 2: stored, 3: b"=[3]"}
    assert {task: one for (_, task), one in (await run.take()).results.items()} == await run.kept()
    await run.end(4)
    assert await run.kept() == {}


async def test_a_parked_flow_keeps_nothing_in_redis(engine: Engine) -> None:
    run = await begin(engine, *pipe(3))
    await run.take()
    await run.end(1, b"[1]")
    await engine.suspend(run.held.pop(2))
    version = (await engine.flow(run.flow)).version
    assert await park(engine.client, engine.partition, [(run.flow, version)]) == [run.flow]
    assert await total(engine) == 0
    entries = await read_log(engine.client, engine.partition, None, 1_000_000)
    state = (await engine.flows())[run.flow]
    await unpark(*run.where, Restored.of(state, position=entries[-1].position, parked=True))
    assert await run.kept() == {1: b"=[1]"}
    await rerun(*run.where, by="alice", selection="failed")
    assert (await run.take()).results == {(run.flow, 1): b"=[1]"}


async def test_a_snapshot_tells_the_results_that_are_kept(engine: Engine) -> None:
    run = await begin(engine, reader(1), reader(2), reader(3, 1, 2))
    await run.take()
    await run.end(1, b"[1]", wanted=0)
    await run.end(2, BLOB, OutcomeKind.STORED, wanted=0)
    await snapshot(engine.client, engine.partition, [run.flow], {})
    told = decode_event((await engine.raw_events())[-1])
    assert isinstance(told, FlowSnapshot)
    assert [bytes(one.result) for one in told.tasks] == [b"[1]", b"", b""]
    assert told.tasks[1].blob == BlobRef(sha256="ab", bytes=70_000, store="api")
    assert registration_of(told).tasks == (reader(1), reader(2), reader(3, 1, 2))
    alone = fold([told])[run.flow]
    assert kept_results(alone) == await run.kept()


@pytest.mark.parametrize("width", [700])
async def test_a_result_that_very_many_read_is_kept_until_the_last_one(engine: Engine, width: int) -> None:
    run = await begin(engine, reader(1), *(reader(seq, 1) for seq in range(2, width + 2)))
    await run.take()
    got = await run.take(30, [Outcome(run.held.pop(1), OutcomeKind.FINISHED, b'"x"')])
    while got.claims or got.more:
        assert got.results in ({}, {(run.flow, 1): b'="x"'})
        got = await run.take(30, [Outcome(claim, OutcomeKind.FINISHED) for claim in got.claims])
    assert (await engine.flow(run.flow)).ended_ms is not None
    assert await run.kept() == {}


async def test_one_task_that_reads_very_many_gets_and_frees_them_all(engine: Engine) -> None:
    width = 700
    run = await begin(
        engine, *(reader(seq) for seq in range(1, width + 1)), reader(width + 1, *range(1, width + 1))
    )
    got = await run.take(1000)
    while got.claims and got.claims[0].task <= width:
        got = await run.take(
            1000, [Outcome(one, OutcomeKind.FINISHED, b"%d" % one.task) for one in got.claims]
        )
    assert got.results == {(run.flow, seq): b"=%d" % seq for seq in range(1, width + 1)}
    assert len(await run.kept()) == width
    await run.end(width + 1)
    assert await run.kept() == {}
