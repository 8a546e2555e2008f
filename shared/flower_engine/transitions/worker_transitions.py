"""The transitions of a worker: attend, finish_and_claim, heartbeat, leave, hand_back."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis import Redis

from flower_engine.errors import StoreError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.values.key_parts import escape, unescape
from flower_engine.transitions.loader import Arg, Script

_attend = Script("worker/attend")
_finish_and_claim = Script("worker/finish_and_claim")
_read_inputs = Script("worker/read_inputs")
_heartbeat = Script("worker/heartbeat")
_leave = Script("worker/leave")
_hand_back = Script("worker/hand_back")
MOST_KEPT_BYTES = 256 * 1024 * 1024
"""What a partition keeps of results in Redis, where nobody says otherwise."""
_PAGE_BYTES, _PAGE_TASKS = 1024 * 1024, 1_000
_WITHOUT_DATA = 5  # parts of a reply
_MOST_HANDED_BACK = 500  # in one call, which should not keep Redis from others for long
_NO_VERSION = "-"
DECISION_BELL = "when"
"""It rings, of no queue, for decisions to be made: for workers whatever they serve."""
_WITH_NUMBER = frozenset(kind for kind in OutcomeKind if kind.is_again) | {
    OutcomeKind.RETRY,
    OutcomeKind.CRASHED,
}


class Claim(msgspec.Struct, frozen=True, gc=False):
    """A task that this worker was given, with the lease that proves it. ``message`` is a TaskMessage.

    A lease id is unique within its queue and partition only. ``progress`` is the JSON of the Progress that
    an earlier attempt told last; b"" if none did.
    """

    lease: bytes
    member: bytes
    queue: bytes
    attempt: int
    message: bytes
    progress: bytes = b""

    @property
    def flow(self) -> str:
        return self.member[:36].decode()

    @property
    def task(self) -> int:
        return int(self.member[37:])

    def input_name(self, task: int) -> bytes:
        """What a result of another task of its flow is called in ``Exchange.inputs``."""
        return b"%b%d" % (self.member[:37], task)

    def __str__(self) -> str:
        return f"flow {self.flow} task {self.task} attempt {self.attempt}"


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a claim; ``payload`` is JSON that jsonb accepts (see ``model/values/result_json.py``).

    ``number`` belongs to the kind: for RETRY the milliseconds to wait (-1: as the task's policy says), for
    AGAIN and FLOW_AGAIN these, too, for the two with AT when the round begins in engine time (ms), for
    CRASHED how many lost workers make poison. ``unfit`` and ``others`` belong to UNFIT: digests of versions
    of the program that refuse the task, and of those that may take it. ``progress`` is the JSON of a Progress
    that no heartbeat has told yet; it is kept for the next attempt.
    """

    claim: Claim
    kind: OutcomeKind
    payload: bytes = b"null"
    number: int = 0
    progress: bytes = b""
    unfit: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Reported(msgspec.Struct, frozen=True):
    """Progress of a claim to tell: ``progress`` is the JSON of a Progress."""

    claim: Claim
    progress: bytes


class Standing(msgspec.Struct, frozen=True):
    """The timer of a claim's attempt is to stand still for so many ms: it waited for a store of blobs."""

    claim: Claim
    ms: int


class Exchange(msgspec.Struct, frozen=True):
    """The reply of finish_and_claim.

    ``words`` (ok | duplicate | stale | absent) answer the outcomes in order. ``more`` says that tasks are
    still being made ready, so the next call should come at once rather than wait for a bell. ``opens_ms``:
    in so many milliseconds a rate lets more start, which no bell tells (None: nothing waits for a rate).

    ``inputs`` are the results that the claimed tasks read, by ``<flow>:<task>``, each as ``kept_results`` has
    a payload: ``=`` and JSON, ``@`` and the JSON of a BlobRef, or ``-``: that task was passed over without
    one. What is missing did not fit into the reply: see :func:`read_inputs`. ``full`` are leases of claimed
    tasks whose results are not to be kept in Redis: their worker stores them as blobs, but for small ones
    (``kept_results.LEAST_BLOB_BYTES``). ``decisions``: there are some to be made.
    """

    words: list[str]
    claims: list[Claim]
    more: bool
    opens_ms: int | None = None
    inputs: Mapping[bytes, bytes] = {}
    full: frozenset[bytes] = frozenset()
    decisions: bool = False

    @property
    def results(self) -> dict[tuple[str, int], bytes]:
        """``inputs`` by flow and task."""
        return {(name[:36].decode(), int(name[37:])): payload for name, payload in self.inputs.items()}


class Service(msgspec.Struct, frozen=True):
    """What a worker serves: the queues, in the order it prefers, and the programs."""

    queues: tuple[str, ...]
    programs: tuple[str, ...]

    def args(self) -> list[Arg]:
        """As finish_and_claim wants it; compute once."""
        queues = [escape(queue) for queue in self.queues]
        return [len(queues), *queues, *program_args(self.programs)]


def program_args(programs: Sequence[str]) -> list[Arg]:
    """The programs that a worker serves, as finish_and_claim wants them behind the queues."""
    return [len(programs), *(escape(program) for program in programs)]


async def attend(client: AsyncRedis, partition: Partition, queues: Sequence[str]) -> None:
    """Makes the queues' work streams and groups exist; call it before the first claim."""
    args = _attend.args((escape(queue) for queue in queues), generation=partition.generation)
    partition.check(await _attend.run(client, partition.keys.meta, args))


async def finish_and_claim(
    client: AsyncRedis,
    partition: Partition,
    worker: str,
    number: int,
    *,
    answered: int,
    outcomes: Sequence[Outcome],
    wanted: int,
    service_args: Sequence[Arg],
    most_kept: int = MOST_KEPT_BYTES,
    version: str = "",
) -> Exchange:
    """Hands in outcomes and takes up to ``wanted`` tasks, in one atomic call.

    ``number`` rises by one with each call of this worker to this partition; a call whose reply was lost is
    sent again with its number AND its arguments, and then gives the first reply again. ``answered`` is the
    number of the last call that was answered (0: none was): a Redis that does not know of it went back in
    time, which halts the partition. ``most_kept``: bytes of results that the partition may keep in Redis;
    where it has them, ``Exchange.full`` names those that claimed tasks are to store elsewhere. ``version``:
    the digest of what the worker publishes of its programs; it gets no task that this version refused.

    Raises:
        LostError: Redis lost its state.
        StoreError: the number was used before by a later call.
    """
    args = _finish_and_claim.args(
        service_args,
        generation=partition.generation,
        worker=worker,
        call_number=number,
        wanted=wanted,
        answered=answered,
        most_kept=most_kept,
        version=version or _NO_VERSION,
    )
    for outcome in outcomes:
        claim = outcome.claim
        args += (claim.lease, claim.member, claim.queue, _kind(outcome), outcome.payload, outcome.progress)
    reply = partition.check(await _finish_and_claim.run(client, partition.keys.meta, args))
    if reply[0] == b"stale":
        raise StoreError(f"worker {worker}: call {number} to partition {partition.number} is out of date")
    flat: list[Any] = reply[2]
    claims = [
        Claim(flat[at], flat[at + 1], flat[at + 2], int(flat[at + 3]), flat[at + 4], flat[at + 5])
        for at in range(0, len(flat), 6)
    ]
    opens_ms = int(reply[4])
    return Exchange(
        [word.decode() for word in reply[1]],
        claims,
        reply[3].startswith(b"more"),
        None if opens_ms < 0 else opens_ms,
        dict(zip(reply[5][::2], reply[5][1::2], strict=True)) if len(reply) > _WITHOUT_DATA else {},
        frozenset(reply[6]) if len(reply) > _WITHOUT_DATA else frozenset(),
        reply[3].endswith(b"+"),
    )


def _kind(outcome: Outcome) -> str:
    if outcome.kind in _WITH_NUMBER:
        return f"{outcome.kind} {outcome.number}"
    if outcome.kind is OutcomeKind.UNFIT:
        return f"{outcome.kind} {'.'.join(outcome.unfit)} {'.'.join(outcome.others)}"
    return outcome.kind


async def read_inputs(
    client: AsyncRedis, partition: Partition, claim: Claim, tasks: Sequence[int]
) -> dict[int, bytes] | None:
    """The results of these tasks of the claim's flow, which it reads, as in ``Exchange.inputs``; None: the
    lease is not the task's current one any more. Reads them in pages, so that nothing keeps Redis for long.

    Raises:
        LostError: Redis lost its state.
    """
    found: dict[int, bytes] = {}
    while len(found) < len(tasks):
        asked = tasks[len(found) : len(found) + _PAGE_TASKS]
        args = _read_inputs.args(
            asked,
            generation=partition.generation,
            lease=claim.lease,
            member=claim.member,
            most=_PAGE_BYTES,
        )
        reply = partition.check(await _read_inputs.run(client, partition.keys.meta, args))
        if reply[0] == b"gone":
            return None
        found.update(zip(asked, reply[1], strict=False))
    return found


def heartbeat(
    client: Redis,
    partition: Partition,
    worker: str,
    *,
    info: bytes,
    remember_ms: int,
    answered: int,
    leases: Mapping[bytes, Sequence[bytes]],
    progress: Sequence[Reported] = (),
    standing: Sequence[Standing] = (),
) -> list[tuple[bytes, bytes]]:
    """Keeps the leases (by queue, as in ``Claim.queue``) and the worker alive, and tells progress.

    ``standing``: by how much timers of attempts stand still. Returns (queue, lease) of those that are gone:
    lapsed, timed out or cancelled. A lease id is unique within its queue only. Progress is logged only if it
    differs from what was told last.

    ``info`` is the JSON of a ``WorkerInfo``, shown to operators for ``remember_ms``. ``answered`` is as for
    :func:`finish_and_claim`.
    """
    args = _heartbeat.args(
        generation=partition.generation,
        worker=worker,
        info=info,
        remember_ms=remember_ms,
        answered=answered,
        report_count=len(progress),
        standing_count=len(standing),
    )
    for told in progress:
        args += (told.claim.lease, told.claim.member, told.progress)
    for stands in standing:
        args += (stands.claim.lease, stands.claim.member, stands.ms)
    for queue, held in leases.items():
        args += (queue, len(held), *held)
    gone: list[bytes] = partition.check(_heartbeat.run_blocking(client, partition.keys.meta, args))[1]
    return list(zip(gone[::2], gone[1::2], strict=True))


async def leave(client: AsyncRedis, partition: Partition, worker: str, queues: Sequence[str]) -> None:
    """Signs a worker off that holds nothing any more."""
    args = _leave.args((escape(queue) for queue in queues), generation=partition.generation, worker=worker)
    partition.check(await _leave.run(client, partition.keys.meta, args))


def hand_back(client: Redis, partition: Partition, worker: str, queues: Sequence[str]) -> int:
    """Hands back all that the worker holds, and signs it off; returns how many tasks wait again.

    For the very last moment of its process: nothing of it may run any more, or for long. Its calls are
    answered stale from then on.

    Raises:
        LostError: Redis lost its state.
    """
    args = _hand_back.args(
        (escape(queue) for queue in queues),
        generation=partition.generation,
        worker=worker,
        most=_MOST_HANDED_BACK,
    )
    count = 0
    while True:
        reply = partition.check(_hand_back.run_blocking(client, partition.keys.meta, args))
        count += int(reply[1])
        if reply[2] == b"none":
            return count


async def wait_for_bell(
    client: AsyncRedis, partition: Partition, service: Service, timeout_seconds: float
) -> bool:
    """Waits until something may be ready for this worker; True when a bell rang. Claim anyway after it."""
    bells = [partition.keys.bell(queue, program) for queue in service.queues for program in service.programs]
    bells.append(partition.keys.bell("", DECISION_BELL))
    return await send(client, "BLPOP", *bells, timeout_seconds) is not None


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What operators see of a worker.

    ``signatures`` names what its programs take (``insight/published_signatures.py``); "" where it does not
    say. ``running`` is how many attempts it runs; ``stuck`` names those that hold a slot though their lease
    is gone, because they run on threads, which cannot be stopped. ``transfers``: what attempts bring from or
    to stores of blobs, and what they wait for. ``unable``: programs of these that it
    cannot start now, and why; it does not claim them. ``tells_version``: it claims by its version (an older
    Flower does not), so that it gets what others refused. ``outdated``: files that were changed since it
    imported them.
    """

    worker: str
    host: str
    pid: int
    started_ms: int
    slots: int
    queues: tuple[str, ...]
    programs: tuple[str, ...]
    signatures: str = ""
    running: int = 0
    stuck: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()
    unable: Mapping[str, str] = {}
    outdated: tuple[str, ...] = ()
    tells_version: bool = False
    seen_ms: int = 0


async def live_workers(client: AsyncRedis, partition: Partition) -> list[WorkerInfo]:
    """The workers whose last heartbeat is still remembered, by name."""
    seen: list[bytes] = await send(client, "ZRANGE", partition.keys.workers, 0, -1, "WITHSCORES")
    names = [name.decode() for name in seen[::2]]
    if not names:
        return []
    infos: list[bytes | None] = await send(client, "MGET", *(partition.keys.worker(name) for name in names))
    found: list[WorkerInfo] = []
    for info, at in zip(infos, seen[1::2], strict=True):
        if info is None:
            continue
        try:
            worker = msgspec.json.decode(info, type=WorkerInfo)
        except ValueError:  # no worker of ours wrote it
            continue
        found.append(msgspec.structs.replace(worker, seen_ms=int(float(at))))
    return sorted(found, key=lambda worker: worker.worker)


def queue_name(claim: Claim) -> str:
    """The name of the queue that a claim came from."""
    return unescape(claim.queue.decode())
