"""The engine of one test: a partition of the process' server, and what the services do with one."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from redis.asyncio.connection import ConnectionPool

from flower_engine.errors import FlowControlError, ParameterError, SecretError
from flower_engine.flows.answers import Answerer
from flower_engine.flows.begun_children import ChildPlans
from flower_engine.flows.forks import Forked, ForkedEffect, Forking, effect_of_forking, fork
from flower_engine.flows.history import detail_of, find_events, find_flow
from flower_engine.flows.live_programs import Programs, Versions
from flower_engine.flows.memory_stores import MemoryStores
from flower_engine.flows.payloads import encoded_payload
from flower_engine.flows.registrations import Asked, start
from flower_engine.flows.signals import Delivered, send_to_all, send_to_flow
from flower_engine.flows.tree_operations import TreeOperator
from flower_engine.log.client import send
from flower_engine.log.durability import Level
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.task_message import TaskMessage, may_read, parameters_in_round
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.flow_control.flow_control import FlowControl, problems_of
from flower_engine.model.folding.attempts import attempts_of
from flower_engine.model.folding.kept_results import BLOB, INLINE, NOTHING
from flower_engine.model.parameters.references import NoValueError, resolved
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.ids import is_flow_id, partition_of
from flower_engine.programs.provenance import provenance_of
from flower_engine.programs.registry import Registry
from flower_engine.programs.rounds import provenance_in_round
from flower_engine.projection.read.views import FlowView, TaskDetail
from flower_engine.runtime.deciding import Decider
from flower_engine.runtime.settings import Settings
from flower_engine.testing.memory_blobs import MemoryBlobs
from flower_engine.testing.program_runs import WORKER, Work
from flower_engine.testing.skipping_client import SkippingRedis
from flower_engine.transitions.flow_control_transitions import read_held, set_control
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.tree_transitions import begin_children, look_at_trees
from flower_engine.transitions.wait_transitions import Sent, Signalled
from flower_engine.transitions.watcher_transitions import fire, lapse
from flower_engine.transitions.worker_transitions import (
    Claim,
    Outcome,
    Service,
    attend,
    finish_and_claim,
    read_inputs,
)

BY = "test"
_WANTED = 100
_NO_STALL_MS = 2**50  # time jumps here by hours, and nobody has slept
_decode_ref = msgspec.json.Decoder(BlobRef).decode
_decode_message = msgspec.json.Decoder(TaskMessage).decode


class Turn(NamedTuple):
    """``opens_ms``: in so many milliseconds a rate lets more start; ``more``: something becomes ready yet."""

    work: list[Work]
    more: bool
    opens_ms: int | None


class _TestClock:
    """What code around the engine takes for the time."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def skip(self, ms: int) -> None:
        self._now_ms += ms

    def monotonic(self) -> float:
        return self._now_ms / 1000

    async def rest(self, seconds: float, stop: Any = None) -> None:
        raise NotImplementedError("nothing rests in skipped time")


class _OwnPrograms(Programs):
    """The programs of this process, as if a live worker served them."""

    registry: Registry
    _asked = 0

    async def known(self) -> set[str]:
        return {program.name for program in self.registry}

    async def state(self) -> int:
        self._asked += 1  # whoever asks looks anew: a test may write a program at any time
        return self._asked

    async def versions(self, programs: Iterable[str], *, anew: bool = False) -> Versions:
        found = {name: self.registry.get(name) for name in programs}
        return {name: program and [program.binder.signature] for name, program in found.items()}


class _OneOfMany(MemoryStores):
    """Stores with one partition, whatever its number."""

    def partition_of(self, flow_id: str) -> Partition:
        (partition,) = self.partitions
        if is_flow_id(flow_id) and partition_of(flow_id) == partition.number:
            return partition
        return super().partition_of("")


class Engine:
    """To be used on the server's event loop. Time stands still but where :meth:`skip` moves it."""

    def __init__(
        self, redis: SkippingRedis, partition: Partition, programs: Registry, secret: Callable[[str], str]
    ) -> None:
        self.redis = redis
        self.partition = partition
        self.settings = Settings.model_validate({})  # nothing of the person who runs the tests
        self.clock = _TestClock(time.time_ns() // 1_000_000)
        self.blobs = MemoryBlobs()
        self._names: dict[str, dict[int, str]] = {}  # of the tasks of a flow, by task_seq
        self.hanging: dict[tuple[str, int], Claim] = {}
        self.stores = _OneOfMany(redis, self.settings, self.clock)
        own_programs = _OwnPrograms(redis, lambda: self.stores.partitions)
        own_programs.registry = programs
        self.stores.programs = own_programs
        self._programs = programs
        self._secret = secret
        self._call_number = 0
        self._decider = Decider(redis, partition, BY, self._fetched, self._stored)
        self._child_plans = ChildPlans(self.stores.definitions, self.clock, self._fetched)
        self._signal_number = 0
        self._queues: list[str] = []
        self._put_off: set[bytes] = set()  # notes of trees with which nothing could be done yet
        self._put_off_at: Any = None  # the last event then: whatever happens may have changed that

    @classmethod
    async def opened(
        cls,
        pool: ConnectionPool,
        number: int,
        programs: Registry,
        secret: Callable[[str], str],
    ) -> "Engine":
        """The engine of partition ``number``, which has nothing in it."""
        partition = Partition(number, "test", "1")
        redis = SkippingRedis(pool, partition.keys)
        engine = cls(redis, partition, programs, secret)
        await redis.set_clock(engine.clock.now_ms())
        await install(redis, number, partition.installation, 1)
        engine.stores.install([partition], [Level()])
        return engine

    async def close(self) -> None:
        """Leaves nothing of the partition."""
        cursor, pattern = b"0", f"{self.partition.keys.prefix}*"
        while True:
            cursor, keys = await send(self.redis, "SCAN", cursor, "MATCH", pattern, "COUNT", 1_000)
            if keys:
                await send(self.redis, "UNLINK", *keys)
            if not int(cursor):
                return

    async def _fetched(self, ref: BlobRef) -> bytes:
        return self.blobs.read(ref)

    async def define(self, document: Mapping[str, Any]) -> None:
        """Defines the workflow anew, as PUT /workflows does; but retries come exactly when they are due.

        Raises:
            DefinitionError: it cannot be run so; names every problem.
        """
        definition = _without_jitter(msgspec.convert(document, WorkflowDocument).to_model())
        await self.stores.definitions.put(definition, BY)
        self.stores.plans.forget(definition.name)
        for task in definition.tasks:
            if task.queue not in self._queues:
                self._queues.append(task.queue)
        await attend(self.redis, self.partition, self._queues)

    async def set_control(self, control: FlowControl) -> None:
        """Replaces all settings of flow control of its scope and name, as PUT /limits does.

        Raises:
            FlowControlError: they do not fit.
        """
        problems = problems_of(control)
        if problems:
            raise FlowControlError(problems)
        self.stores.said.put_control(control)
        controls = await self.stores.said.controls()
        held = await read_held(self.redis, self.partition)
        await set_control(self.redis, self.partition, partitions=1, held=held, controls=controls)
        self.stores.plans.forget_all()

    async def register(self, workflow: str, asked: Asked) -> str:
        return (await start(self.stores, workflow, BY, asked)).flow

    async def turn(self, outcomes: Sequence[Outcome], stubbed: Iterable[str]) -> Turn:
        """Hands outcomes in, and claims what is ready of the programs that are here."""
        programs = {program.name for program in self._programs} | set(stubbed)
        self._call_number += 1
        exchange = await finish_and_claim(
            self.redis,
            self.partition,
            WORKER,
            self._call_number,
            answered=self._call_number - 1,
            outcomes=outcomes,
            wanted=_WANTED,
            service_args=Service(tuple(self._queues), tuple(sorted(programs))).args(),
        )
        work = [
            await self._work(claim, exchange.results, is_full=claim.lease in exchange.full)
            for claim in exchange.claims
        ]
        is_decided = await self._decider.run_once() > 0
        is_begun = await self._look_at_trees()
        return Turn(work, exchange.more or is_decided or is_begun, exchange.opens_ms)

    async def _look_at_trees(self) -> bool:
        """What a watcher does for sub-flows; whether there was something."""
        tree = self.partition.keys.tree
        if not await send(self.redis, "EXISTS", tree):
            return False
        before = await self._last_event()
        looked_at: list[bytes] = await send(
            self.redis, "ZRANGE", tree, "-inf", self.clock.now_ms(), "BYSCORE"
        )
        more, due = await look_at_trees(self.redis, self.partition)
        if due:
            begun = [(one, made) for one in due if (made := await self._child_plans.begin(one)) is not None]
            await begin_children(self.redis, self.partition, begun)
        happened = await self._last_event()
        if happened != self._put_off_at:
            self._put_off_at, self._put_off = happened, set()
        self._put_off.update(looked_at)
        return more or bool(due) or happened != before

    async def _tree_due_ms(self) -> int | None:
        """In how many milliseconds something of a tree of flows is to be looked at. What was looked at in
        vain is looked at in vain again, each second, until something happens: that is nothing to skip to."""
        tree = self.partition.keys.tree
        put_off = self._put_off if await self._last_event() == self._put_off_at else set[bytes]()
        noted: list[bytes] = await send(self.redis, "ZRANGE", tree, 0, -1, "WITHSCORES")
        for note, score in zip(noted[::2], noted[1::2], strict=True):
            if note not in put_off and (not note.endswith(b"?") or await self._is_in_doubt(note)):
                return max(0, int(score) - self.clock.now_ms())
        return None

    async def _is_in_doubt(self, note: bytes) -> bool:
        """Whether a task that was to await the child that it had still does, and that was not taken up."""
        flow, _, task = note.rstrip(b"?").decode().partition(":")
        state: bytes | None = await send(self.redis, "HGET", self.partition.keys.flow(flow), f"s{task}")
        _, attempt, _, lease = (state or b"0 0 0 ").decode().split(" ", 3)
        if not lease.startswith("~flow"):
            return False
        child = child_flow_id(flow, int(task), int(attempt))
        return not await send(self.redis, "EXISTS", self.partition.keys.flow(child))

    async def _last_event(self) -> Any:
        return await send(self.redis, "XREVRANGE", self.partition.keys.log, "+", "-", "COUNT", 1)

    async def _stored(self, content: bytes) -> BlobRef:
        return self.blobs.put(content)

    async def fire(self) -> tuple[bool, int | None]:
        """Whether something was due, and in how many milliseconds the next is (None: nothing is)."""
        fired = await fire(
            self.redis, self.partition, lease_ms=self.settings.lease_ms, tick_gap_ms=_NO_STALL_MS
        )
        due = [ms for ms in (fired.next_ms, await self._tree_due_ms()) if ms is not None]
        return bool(fired.fired), min(due, default=None)

    async def skip_and_fire(self, ms: int) -> None:
        """So much time passes, and what is due then happens."""
        self.clock.skip(ms)
        await self.redis.skip(ms)
        await self.fire()

    async def lose_worker(self, claim: Claim) -> None:
        """The worker of this claim alone is lost, as if no heartbeat had come for the lease time."""
        work, lease_ms = self.partition.keys.work(claim.queue.decode()), self.settings.lease_ms
        others = [one.lease for one in self.hanging.values() if one is not claim and one.queue == claim.queue]
        for leases, idle_ms in ((others, 0), ([claim.lease], lease_ms)):
            if leases:
                claimed = (work, "workers", WORKER, 0, *leases, "IDLE", idle_ms, "JUSTID")
                await self.redis.execute_command("XCLAIM", *claimed, parse_justid=True)
        await lapse(
            self.redis,
            self.partition,
            queues=[claim.queue.decode()],
            lease_ms=lease_ms,
            tick_gap_ms=_NO_STALL_MS,
            max_lost=self.settings.max_lost,
        )

    def operator(self, flow: str) -> TreeOperator:
        return TreeOperator(self.stores, flow, BY)

    async def fork(self, wanted: Forking) -> Forked:
        return await fork(self.stores, wanted, BY)

    async def effect_of_fork(self, wanted: Forking) -> ForkedEffect:
        return await effect_of_forking(self.stores, wanted)

    def answerer(self, flow: str, by: str) -> Answerer:
        return Answerer(self.stores, flow, by)

    async def signal(self, flow: str, name: str, key: str, payload: Any) -> Signalled:
        """Sends the flow a signal that it never got before."""
        return await send_to_flow(self.stores, flow, self._new_signal(name, key, payload))

    async def signal_all(self, name: str, key: str, payload: Any, *, first: bool) -> Delivered:
        """Sends such a signal to all flows in which a task awaits it, or to the first of them."""
        return await send_to_all(self.stores, self._new_signal(name, key, payload), first=first)

    def _new_signal(self, name: str, key: str, payload: Any) -> Sent:
        self._signal_number += 1
        encoded = encoded_payload(payload, "")
        return Sent(name=name, key=key, id=f"test {self._signal_number}", by=BY, payload=encoded)

    async def view(self, flow: str) -> FlowView:
        """The flow with its tasks and why they wait."""

        async def fetch(ref: BlobRef) -> bytes:
            return self.blobs.read(ref)

        return await find_flow(self.stores, flow, fetch)

    async def details(self, view: FlowView) -> list[TaskDetail]:
        """The tasks with all their attempts."""
        attempts = attempts_of(await find_events(self.stores, self.partition, view.task_flow_id))
        return [
            detail_of(view, task.task_exec_seq, attempts.get(task.task_exec_seq, [])) for task in view.tasks
        ]

    async def _work(self, claim: Claim, results: dict[tuple[str, int], bytes], *, is_full: bool) -> Work:
        message = _decode_message(claim.message)
        map_name = "" if message.task_name else await self._map_name(claim.flow, message.task_seq)
        if not message.refs:
            parameters = parameters_in_round(message, message.parameters)
            plain = msgspec.structs.replace(message, parameters=parameters)
            return Work(claim, plain, is_full=is_full, map_name=map_name)
        seqs, flow = set(message.reads.values()), claim.flow
        kept = {seq: results[flow, seq] for seq in seqs if (flow, seq) in results}
        missing = sorted(seqs - kept.keys())
        if missing:
            kept |= await read_inputs(self.redis, self.partition, claim, missing) or {}

        def read(name: str) -> Any:
            seq = message.reads[name]
            payload = kept.get(seq, NOTHING) if may_read(message, seq) else NOTHING
            if payload.startswith(BLOB):
                return msgspec.json.decode(self.blobs.read(_decode_ref(payload[1:])))
            if not payload.startswith(INLINE):
                raise NoValueError(name)
            return msgspec.json.decode(payload[1:])

        try:
            parameters = resolved(message.parameters, read, self._secret)
        except (ParameterError, SecretError) as error:
            return Work(claim, message, fault=error, map_name=map_name)
        given = parameters_in_round(message, parameters)
        plain = msgspec.structs.replace(message, parameters=given, refs=False)
        provenance = dict(provenance_in_round(message, provenance_of(message.parameters)))
        return Work(claim, plain, provenance, is_full=is_full, map_name=map_name)

    async def _map_name(self, flow: str, task_seq: int) -> str:
        """What the map is called that a task without a name is an item of; "": it is none, or has none."""
        names = self._names.get(flow)
        if names is None:
            tasks = (await self.view(flow)).tasks
            names = {task.task_seq: task.task_name for task in tasks if task.task_name}
            self._names[flow] = names
        return names.get(task_seq, "")


def _without_jitter(definition: WorkflowDefinition) -> WorkflowDefinition:
    tasks = tuple(
        task
        if task.retry is None
        else msgspec.structs.replace(task, retry=msgspec.structs.replace(task.retry, jitter=0.0))
        for task in definition.tasks
    )
    return msgspec.structs.replace(definition, tasks=tasks)
