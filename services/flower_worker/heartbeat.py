"""The heartbeat loop, on its own thread and connection: a blocked event loop must not lose leases.

On a cluster each partition has a thread of its own: a node that stands still must not keep the leases of
others waiting.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from flower_engine.log.client import connect_blocking, descriptors
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.process_forks import hide_from_copies
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.work_done import PATIENCE_SECONDS, Standing
from flower_engine.secrets import hide_secrets
from flower_engine.transitions.worker_transitions import WorkerInfo, heartbeat
from flower_worker.child_processes import Processes
from flower_worker.exchange import ExchangeLoop

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode

_MOST_STUCK = 20  # that operators are shown
_MOST_OUTDATED = 20
_SOONER = 6  # a heartbeat before its time comes after so much of it


class HeartbeatLoop:
    """Keeps the worker known and its leases alive; tells the exchange loops which leases are gone."""

    def __init__(
        self,
        settings: Settings,
        info: WorkerInfo,
        processes: Processes,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.began = asyncio.Event()  # operators and the API can see the worker
        self.settings = settings
        self._info = info
        self._ability = processes.ability
        self._image = processes.image
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._clock = clock
        self._began = clock.monotonic()
        self._beats: list[Beat] = []

    def start(self, exchanges: Sequence[ExchangeLoop], on_failure: Callable[[Exception], None]) -> "Beat":
        """Begins with the heartbeats of some partitions. ``on_failure`` is called on the event loop with what
        no waiting heals; they end then."""
        beat = Beat(self, exchanges, on_failure, self._clock)
        self._beats.append(beat)
        beat.thread.start()
        return beat

    def end(self, beat: "Beat") -> None:
        """Sends no more of these: their partitions were lost."""
        beat.is_over = True
        beat.due.set()
        self._beats.remove(beat)

    def leave_off(self, number: int) -> None:
        """Sends no more for a partition: it is retired."""
        for beat in list(self._beats):
            beat.exchanges = [one for one in beat.exchanges if one.partition.number != number]
            if not beat.exchanges:
                self.end(beat)

    @property
    def is_started(self) -> bool:
        """Whether heartbeats may have been sent."""
        return bool(self._beats)

    def seconds_ago(self) -> float:
        """How long ago Redis answered the last heartbeat; from the beginning, if it has answered none. Of
        several partitions: of that for which it is longest."""
        return self._clock.monotonic() - min((beat.beaten for beat in self._beats), default=self._began)

    async def stop(self, timeout_seconds: float) -> None:
        """Ends the loop; a heartbeat under way is waited for so long."""
        self._stop.set()
        for beat in self._beats:
            beat.due.set()
        if self.is_started:
            until = self._clock.monotonic() + timeout_seconds
            for beat in self._beats:
                left = max(0.0, until - self._clock.monotonic())
                await asyncio.to_thread(beat.thread.join, left)

    def is_to_stop(self) -> bool:
        return self._stop.is_set()

    def wait(self, seconds: float) -> None:
        """For so long, or until it is to stop."""
        self._stop.wait(seconds)

    def tell(self, callback: Callable[..., object], *arguments: object) -> None:
        """Calls it on the event loop; for any thread."""
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(callback, *arguments)

    def note_begun(self) -> None:
        """A heartbeat was answered; for any thread."""
        if not self.began.is_set():
            self.tell(self.began.set)

    def beat(self, client: Redis, exchanges: Sequence[ExchangeLoop]) -> None:
        """One heartbeat a partition."""
        told = self._info_now()
        for exchange in exchanges:
            info = _encode(msgspec.structs.replace(told, signatures=exchange.own_version.digest))
            untold = exchange.take_untold()
            standing = exchange.take_standing()
            try:
                gone = heartbeat(
                    client,
                    exchange.partition,
                    self._info.worker,
                    info=info,
                    remember_ms=self.settings.lease_ms,
                    answered=exchange.answered,
                    leases=exchange.leases(),
                    progress=[reported for _, reported in untold],
                    standing=[stands for _, stands in standing],
                )
            except BaseException:
                for attempt, _ in untold:
                    attempt.untold = True
                for attempt, stands in standing:
                    if attempt.transfer is not None:
                        attempt.transfer.give_back(stands.ms)
                raise
            if gone:
                exchange.note_gone(gone)
                self.tell(exchange.lose, gone)

    def _info_now(self) -> WorkerInfo:
        exchanges = [exchange for beat in list(self._beats) for exchange in beat.exchanges]
        stuck = [text for exchange in exchanges for text in exchange.stuck()]
        transfers = [text for exchange in exchanges for text in exchange.transfers()]
        running = sum(len(leases) for exchange in exchanges for leases in exchange.leases().values())
        return msgspec.structs.replace(
            self._info,
            running=running,
            stuck=tuple(stuck[:_MOST_STUCK]),
            transfers=tuple(hide_secrets(text) for text in transfers[:_MOST_STUCK]),
            unable=dict(self._ability.unable),
            outdated=tuple(self._image.outdated()[:_MOST_OUTDATED]),
        )


class Beat:
    """The heartbeats of some partitions: a thread and a connection."""

    def __init__(
        self,
        loop: HeartbeatLoop,
        exchanges: Sequence[ExchangeLoop],
        on_failure: Callable[[Exception], None],
        clock: Clock,
    ) -> None:
        """See :meth:`HeartbeatLoop.start`."""
        self._loop = loop
        self._on_failure = on_failure
        self._clock = clock
        self.exchanges = exchanges
        self.is_over = False
        numbers = [exchange.partition.number for exchange in exchanges]
        self._partition = numbers[0] if len(numbers) == 1 else None
        is_apart = self._partition is not None and (self._partition > 0 or loop.settings.partitions > 1)
        of = f" of partition {self._partition}" if is_apart else ""
        self._name = f"heartbeats{of}"
        self._backoff = StoreBackoff(_log, f"Redis ({self._name})", clock=clock)
        self.beaten = clock.monotonic()
        self.due = threading.Event()  # before its time, or because it is to stop
        for exchange in exchanges:
            exchange.when_standing.append(self.due.set)
        self.thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def standing(self) -> Standing:
        """Whether its heartbeats are answered in time; see ``work_done.py``."""
        seconds = self._clock.monotonic() - self.beaten
        settings = self._loop.settings
        is_late = seconds > max(settings.lease_seconds, settings.heartbeat_seconds + PATIENCE_SECONDS)
        problem = f"Redis has answered none for {seconds:.0f} s, so leases may have lapsed"
        return Standing(self._name, seconds, problem if is_late else None, partition=self._partition)

    def _run(self) -> None:
        loop = self._loop
        assert loop.settings.redis_url is not None
        with connect_blocking(loop.settings.redis_url) as client:
            hide_from_copies(client, descriptors)
            while not (self.is_over or loop.is_to_stop()):
                exchanges = self.exchanges
                try:
                    loop.beat(client, exchanges)
                except (RedisError, OSError) as error:
                    loop.wait(self._backoff.failed(error))
                except Exception as error:  # noqa: BLE001 # without heartbeats the worker must not go on
                    if exchanges is not self.exchanges:  # one of them was retired meanwhile
                        continue
                    loop.tell(self._on_failure, error)
                    return
                else:
                    self._note_success()
                    self._rest()

    def _rest(self) -> None:
        """Until the next heartbeat: sooner where a timer is to stand still that may be due before that."""
        seconds = self._loop.settings.heartbeat_seconds
        self._loop.wait(seconds / _SOONER)
        self.due.wait(seconds - seconds / _SOONER)
        self.due.clear()

    def _note_success(self) -> None:
        self._backoff.worked()
        now = self._clock.monotonic()
        if now - self.beaten > self._loop.settings.lease_seconds:
            _log.warning("%.1f s passed between two heartbeats: leases may have lapsed", now - self.beaten)
        self.beaten = now
        self._loop.note_begun()
