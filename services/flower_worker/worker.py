"""One worker: its loops put together, and the order in which they begin and end."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from flower_engine.blobs.blob_stores import BlobStores, read
from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, is_cluster
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.programs.code_image import Image
from flower_engine.programs.registry import Kind, Registry
from flower_engine.runtime.asyncio_tasks import cancel_all, unless_stopped
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.deciding import Decider
from flower_engine.runtime.expanding import Put
from flower_engine.runtime.growth import Growth
from flower_engine.runtime.loop import until_it_works, until_there
from flower_engine.runtime.partition_lives import PartitionLives, finder
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.work_done import at_work
from flower_engine.transitions.loader import Arg
from flower_engine.transitions.worker_transitions import Service, attend, leave, program_args
from flower_worker.ability import Ability
from flower_worker.asking import Asking
from flower_worker.bell import BellLoop
from flower_worker.child_process import Origin
from flower_worker.child_processes import Processes
from flower_worker.drain import drain, stop_attempts
from flower_worker.exchange import ExchangeLoop
from flower_worker.execution import Data, Executor
from flower_worker.heartbeat import HeartbeatLoop
from flower_worker.identity import make_worker_info
from flower_worker.inputs import Inputs
from flower_worker.last_act import hand_back_all
from flower_worker.left_behind import say_unknown
from flower_worker.other_versions import OwnVersion
from flower_worker.partition_work import PartitionWork
from flower_worker.queues import Queues
from flower_worker.secret_values import Secrets
from flower_worker.signature_publisher import Described, keep_published
from flower_worker.slots import AskKind, Slots, SlotsNow
from flower_worker.storing import Storing, stored_content
from flower_worker.task_logs.task_logs import TaskLogs
from flower_worker.threads import Threads
from flower_worker.transfers import Transfers

_log = logging.getLogger(__name__)
_LEAVE_SECONDS = 2.0
_LOOK_SECONDS = 0.2


def make_data(settings: Settings, blobs: BlobStores) -> Data:
    """What brings values to its programs, and takes results away; to be made where the event loop runs."""
    grants, folder = settings.secrets_grants, settings.secrets_folder
    secrets = Secrets(grants, settings.secrets_prefix, folder, os.environ)
    transfers = Transfers()
    return Data(transfers, Inputs(blobs, secrets, transfers), Storing(blobs, transfers))


class Worker:
    """Work on each partition, heartbeats, and what runs the programs.

    On one server it is given all partitions, and ends when they are lost. On a cluster it is given none: it
    looks for each by itself, and works on those that are there. Partitions that are added are worked on as
    soon as it hears of them.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        *,
        image: Image,
        origin: Origin,
        blobs: BlobStores,
        refused: Counter[str] | None = None,
        logs: TaskLogs | None = None,
    ) -> None:
        """``refused`` counts the outcomes that Redis refused, by its word for why."""
        self._refused = refused
        self._blobs = blobs
        self._settings = settings
        self._client = client
        self._queues = Queues(settings.queues)
        self._info = make_worker_info(settings, registry, self._queues.names)
        self._light = tuple(sorted(one.name for one in registry if one.kind is not Kind.PROCESS))
        self._ability = Ability(one.name for one in registry if one.kind is Kind.PROCESS)
        self._ability.when_changed.append(self._follow_ability)
        self._processes = Processes(origin, self._ability, image, logs and logs.child_output)
        self._executor = Executor(
            registry,
            self._info.worker,
            Threads(settings.concurrency),
            self._processes,
            data := make_data(settings, blobs),
            max_lost=settings.max_lost,
            logs=logs,
        )
        self._transfers = data.transfers
        self._slots, self._programs = self._make_slots()
        self._heartbeats = HeartbeatLoop(settings, self._info, self._processes)
        self._described = Described(registry)
        own_version = OwnVersion(self._info.signatures)
        self._works = [self._make_work(partition, own_version) for partition in partitions]
        self._left_over: list[ExchangeLoop] = []  # of lost partitions, with attempts that do not stop
        self._lives: PartitionLives | None = None
        if is_cluster(client):
            self._lives = PartitionLives(
                range(settings.partitions),
                finder(client, settings),
                self._live,
                growing=client,
                on_gone=self._forget,
            )
        self._is_stopping = asyncio.Event()
        self._lost: dict[int, set[str]] = {}  # the flows that it had attempts of, by lost partition
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running: list[asyncio.Task[None]] = []
        self._published_in: list[Partition] = []
        self.flows_at_the_end: set[str] = set()  # of which it had attempts when it failed
        self._publishing: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Works until told to stop, then drains; on a failure it stops what runs and raises it."""
        beginning = asyncio.create_task(self._transfers.begin(self._blobs))
        try:
            if await unless_stopped(stop, self._begin()):
                await self._work(stop)
                await self._drain()
            elif self._heartbeats.is_started:  # others may have seen it already
                await self._sign_off()
        except BaseException:
            self.flows_at_the_end = {flow for exchange in self._exchanges for flow in exchange.flows()}
            await stop_attempts(self._exchanges, self._executor)
            raise
        finally:
            beginning.cancel()
            await self._end()

    def hand_back(self) -> bool:
        """The last act before the process is gone: hands back what is held; whether anything still runs.

        For any thread, and whatever the event loop does. An attempt that nothing can stop runs on until the
        process ends, which should be at once; its outcome would be refused. One whose lease is gone (its flow
        was cancelled) has nothing to hand back, and is waited for as little.
        """
        if all(exchange.quiet.is_set() for exchange in self._exchanges):
            return any(exchange.stuck() for exchange in self._exchanges)
        assert self._settings.redis_url is not None
        partitions = [work.exchange.partition for work in list(self._works)]
        hand_back_all(self._settings.redis_url, partitions, self._info.worker, self._queues.names)
        self._processes.kill()  # not before: the loop would hand them in as crashed
        return True

    def is_at_work(self) -> bool:
        """Whether an attempt runs, with or without a lease. For any thread."""
        return any(exchange.running() or exchange.stuck() for exchange in self._exchanges)

    def slots_now(self) -> SlotsNow:
        """What its slots do."""
        busy = [attempt for exchange in self._exchanges for attempt in exchange.busy()]
        stuck = sum(len(exchange.stuck()) for exchange in self._exchanges)
        heavy = sum(1 for attempt in busy if attempt.heavy)
        return SlotsNow(self._slots.slots, len(busy), stuck, self._slots.processes_now, heavy)

    def heartbeat_seconds_ago(self) -> float:
        """How long ago Redis answered its last heartbeat."""
        return self._heartbeats.seconds_ago()

    def _make_slots(self) -> tuple[Slots, dict[AskKind, Sequence[Arg]]]:
        """The slots, and the programs that claims name."""
        settings, light, heavy = self._settings, self._light, tuple(self._ability.able)
        processes = (settings.processes or os.cpu_count() or 1) if heavy else 0
        return Slots(settings.concurrency, processes), {
            AskKind.ALL: program_args(light + heavy),
            AskKind.LIGHT: program_args(light),
            AskKind.HEAVY: program_args(heavy),
        }

    def _make_work(self, partition: Partition, own_version: OwnVersion) -> PartitionWork:
        """What there is to do for a partition; nothing of it runs yet."""
        slots, names, light = self._slots, self._queues.names, self._light
        exchange = ExchangeLoop(
            self._client,
            partition,
            self._info.worker,
            queues=Queues(self._settings.queues),  # each partition's tasks follow the weights
            programs=self._programs,
            slots=slots,
            executor=self._executor,
            most_kept=self._settings.max_kept_mb << 20,
            own_version=own_version,
            refused=self._refused,
            decider=Decider(self._client, partition, self._info.worker, self._fetch, self._put_list()),
        )
        heavy = tuple(self._ability.able)
        bells = [
            BellLoop(self._client, exchange, slots, Service(names, served), heavy=is_heavy)
            for is_heavy, is_served, served in (
                (False, bool(light), light),
                (True, bool(self._ability.programs), heavy),
            )
            if is_served
        ]
        return PartitionWork(exchange, bells, Asking(exchange, slots, names, serves_light=bool(light)))

    @property
    def _exchanges(self) -> list[ExchangeLoop]:
        """Of all partitions, and of those that were lost while attempts do not end. For any thread."""
        return [*(work.exchange for work in list(self._works)), *list(self._left_over)]

    async def _live(self, partition: Partition) -> None:
        """Works on a partition of a cluster, or one that was added, until it is lost or until cancelled."""
        if self._is_stopping.is_set():
            await asyncio.Event().wait()
        await attend(self._client, partition, self._queues.names)
        if flows := self._lost.pop(partition.number, None):
            await say_unknown(self._client, [partition], flows)
        own_version = OwnVersion(self._info.signatures)
        work = self._make_work(partition, own_version)
        self._works.append(work)
        publishing = asyncio.create_task(self._keep_published([partition], own_version))
        work.beat = self._heartbeats.start([work.exchange], work.fail)
        try:
            await self._heartbeats.began.wait()
            if self._is_stopping.is_set():
                work.stop_claiming()
            await work.run()
        except LostError:
            self._lost[partition.number] = work.exchange.flows()
            work.exchange.abandon()
            self._left_over = [one for one in (*self._left_over, work.exchange) if one.stuck()]
            raise
        finally:
            await cancel_all([publishing])
            if partition.number in self._lost:
                self._works.remove(work)
                self._heartbeats.end(work.beat)

    async def _work_on_others(self) -> None:
        """On one server: what is added is worked on, too, until that ends as the others do; what is retired
        is not any more."""
        first = [work.exchange.partition for work in self._works]
        known = {one.number for one in first}
        growth = Growth(self._client, first, known)
        more: dict[int, asyncio.Task[None]] = {}
        growing = asyncio.create_task(growth.until_changed())
        try:
            while True:
                await asyncio.wait({growing, *more.values()}, return_when=asyncio.FIRST_COMPLETED)
                for one in more.values():
                    if one.done():
                        one.result()
                        return
                numbers = set(growing.result())
                _log.warning("there are %d partitions now", len(numbers))
                for number in known - numbers:
                    if number in more:
                        await cancel_all([more.pop(number)])
                    else:
                        await self._leave_off(number)
                    self._forget(number)
                more |= {number: asyncio.create_task(self._work_on(number)) for number in numbers - known}
                known = numbers
                growing = asyncio.create_task(growth.until_changed())
        finally:
            await cancel_all([growing, *more.values()])

    async def _leave_off(self, number: int) -> None:
        """Works no more on a partition that was there at the beginning, and is retired."""
        for work in list(self._works):
            if work.exchange.partition.number == number:
                await work.leave_off()

    def _forget(self, number: int) -> None:
        """Nothing is done any more for a partition that was retired: it was empty."""
        for work in [one for one in self._works if one.exchange.partition.number == number]:
            self._works.remove(work)
            work.exchange.abandon()
            self._left_over = [one for one in (*self._left_over, work.exchange) if one.stuck()]
        self._heartbeats.leave_off(number)
        self._published_in[:] = [one for one in self._published_in if one.number != number]

    async def _run_first(self, work: PartitionWork) -> None:
        """Works on a partition that was there at the beginning; does nothing any more once it is retired."""
        await work.run()
        if work.is_left_off:
            await asyncio.Event().wait()

    async def _work_on(self, number: int) -> None:
        find = partial(finder(self._client, self._settings), number)
        backoff = StoreBackoff(_log, "Redis")

        async def live() -> None:
            await self._live(await until_there(find, _LOOK_SECONDS))

        await until_it_works(live, backoff)

    async def _keep_published(self, partitions: Sequence[Partition], own_version: OwnVersion) -> None:
        def tell(digest: str) -> None:
            own_version.digest = digest

        await keep_published(self._client, partitions, self._described, self._heartbeats.began, tell)

    def _put_list(self) -> Put | None:
        """Stores the list of a map; None: there is no store."""
        store = self._blobs.writing
        return None if store is None else partial(stored_content, store)

    async def _fetch(self, ref: BlobRef) -> bytes:
        """The content of a blob that a condition reads."""
        return await asyncio.to_thread(read, self._blobs.reading(ref.store), ref)

    def _follow_ability(self) -> None:
        """Claims and waits for the programs that can be started, and for no others."""
        able = tuple(self._ability.able)
        self._programs[AskKind.ALL] = program_args(self._light + able)
        self._programs[AskKind.HEAVY] = program_args(able)
        most = self._ability.most
        self._slots.processes_now = (self._slots.processes if most is None else most) if able else 0
        for work in self._works:
            for bell in work.bells:
                if bell.heavy:
                    bell.service = Service(self._queues.names, able)
            work.exchange.slot_use.heavy_due = True
            work.exchange.wake()

    async def _begin(self) -> bool:
        """Queues exist and the worker is known before it claims its first task."""
        backoff = StoreBackoff(_log, "Redis")
        if self._ability.programs:
            self._processes.warm()
        if self._lives is not None:
            self._running = [asyncio.create_task(self._lives.run())]
        else:
            await until_it_works(self._attend, backoff)
            exchanges = self._exchanges
            self._published_in = [one.partition for one in exchanges]
            own_version = exchanges[0].own_version
            self._publishing = asyncio.create_task(self._keep_published(self._published_in, own_version))
            self._works[0].beat = self._heartbeats.start(exchanges, self._fail)
        await self._until(asyncio.create_task(self._heartbeats.began.wait()))
        _log.info(
            "worker %s serves queues %s with %d slots: %s",
            self._info.worker,
            ", ".join(self._info.queues),
            self._info.slots,
            ", ".join(self._info.programs),
        )
        return True

    async def _attend(self) -> None:
        """Queues exist in each partition."""
        for exchange in self._exchanges:
            await attend(self._client, exchange.partition, self._queues.names)

    async def _work(self, stop: asyncio.Event) -> None:
        if self._lives is None:
            self._running = [asyncio.create_task(self._run_first(work)) for work in self._works]
            self._running.append(asyncio.create_task(self._work_on_others()))
        try:
            await asyncio.sleep(0)  # each begins, and is watched from then on: nobody is ready before that
            with at_work():
                await self._until(asyncio.create_task(stop.wait()))
        finally:
            self._is_stopping.set()
            for work in self._works:
                work.stop_claiming()

    async def _drain(self) -> None:
        _log.info("worker %s stops: it takes no more tasks", self._info.worker)
        draining = asyncio.create_task(drain(self._exchanges, self._executor, self._settings.grace_seconds))
        await self._until(draining)
        if draining.result():
            await self._sign_off()

    async def _sign_off(self) -> None:
        await self._heartbeats.stop(_LEAVE_SECONDS)  # a heartbeat after it has left would bring it back
        await self._leave()

    async def _until(self, end: asyncio.Task[Any]) -> None:
        """Waits for the end; raises at once what ends a loop before that."""
        loops = (self._failure, *self._running)
        try:
            await asyncio.wait({end, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                if loop.done():
                    loop.result()
        finally:
            await cancel_all([end])

    async def _leave(self) -> None:
        """Signs off; if Redis does not answer, the worker is forgotten when its heartbeats are."""
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                left = await from_each(
                    self._client,
                    [work.exchange.partition for work in self._works],
                    lambda one: leave(self._client, one, self._info.worker, self._queues.names),
                )
                left.raise_away()
        except (RedisError, OSError) as error:
            _log.warning("worker %s could not sign off: %s", self._info.worker, error)

    async def _end(self) -> None:
        """Nothing of the worker is left running but attempts that cannot be stopped."""
        deciding = [exchange.deciding for exchange in self._exchanges if exchange.deciding is not None]
        await cancel_all([*self._running, *deciding, *([self._publishing] if self._publishing else [])])
        await self._heartbeats.stop(_LEAVE_SECONDS)
        await self._executor.close()
        if not self._failure.cancel():
            self._failure.exception()  # it was raised already, or came too late to matter

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
