"""Sends lines to Redis, from a thread and on a connection of its own: no outcome ever waits for it."""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable

from redis import Redis
from redis.exceptions import RedisError

from flower_engine.log.client import connect_blocking, descriptors
from flower_engine.log.keys import Keys
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.process_forks import hide_from_copies
from flower_engine.task_logs.chunks import (
    FIELD,
    MAX_ENTRY_BYTES,
    encode_entries,
    partition_of_chunk,
    without_secrets,
)
from flower_worker.task_logs.waiting_lines import Piece, WaitingLines

_log = logging.getLogger(__name__)
_INTERVAL_SECONDS = 0.5
_MEASURE_SECONDS = 1.0  # between two looks at how large the entries of a stream are
_LEAST_ENTRIES = 64


class Sender:
    """Sends what waits, twice a second or as soon as there is enough for an entry; until it is stopped."""

    def __init__(
        self,
        waiting: WaitingLines,
        redis_url: str,
        most_buffer_bytes: int,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``most_buffer_bytes``: of the stream of a partition."""
        self._waiting = waiting
        self._client = connect_blocking(redis_url)
        hide_from_copies(self._client, descriptors)
        self._bound = StreamBound(most_buffer_bytes, clock)
        self._backoff = StoreBackoff(_log, "Redis (task logs)", clock=clock)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="task-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Sends what is left, as far as Redis takes it; blocks no longer than this."""
        self._stop.set()
        self._waiting.some.set()
        self._waiting.much.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        waiting = self._waiting
        try:
            while True:
                waiting.some.wait()
                if not self._stop.is_set():
                    waiting.much.wait(_INTERVAL_SECONDS)
                while pieces := waiting.take():
                    self._send(pieces)
                    if not self._stop.is_set() and not waiting.much.is_set():
                        break
                if dropped := waiting.take_dropped():
                    _log.warning("%d lines of tasks found no room: Redis did not take those before", dropped)
                if self._stop.is_set():
                    return
        finally:
            self._client.close()

    def _send(self, pieces: list[Piece]) -> None:
        """Sends them, again and again, until Redis has them all; where it is to stop, once more."""
        to_send = _entries(pieces)
        while True:
            try:
                to_send = self._send_once(to_send)
            except (RedisError, OSError) as error:
                pause_seconds = self._backoff.failed(error)
            else:
                self._backoff.worked()
                return
            if self._stop.is_set():
                return
            self._stop.wait(pause_seconds)

    def _send_once(self, to_send: dict[int, list[bytes]]) -> dict[int, list[bytes]]:
        for partition in list(to_send):
            key = Keys(partition).tasklog
            most = self._bound.most_entries(self._client, key)
            with self._client.pipeline(transaction=False) as pipeline:  # pyright: ignore[reportUnknownMemberType]
                for entry in to_send[partition]:
                    pipeline.execute_command("XADD", key, "MAXLEN", "~", most, "*", FIELD, entry)  # pyright: ignore[reportUnknownMemberType]
                pipeline.execute()
            del to_send[partition]
        return to_send


class StreamBound:
    """How many entries a stream may have, so that it stays within a number of bytes."""

    def __init__(self, most_bytes: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._known: dict[str, tuple[float, int]] = {}

    def most_entries(self, client: Redis, key: str) -> int:
        """As the entries that are there are; looked up now and then."""
        until, most = self._known.get(key, (0.0, 0))
        now = self._clock.monotonic()
        if now < until:
            return most
        with client.pipeline(transaction=False) as pipeline:  # pyright: ignore[reportUnknownMemberType]
            pipeline.execute_command("XLEN", key)  # pyright: ignore[reportUnknownMemberType]
            pipeline.execute_command("MEMORY USAGE", key)  # pyright: ignore[reportUnknownMemberType]
            entries, size = pipeline.execute()
        each = (size or 0) // entries if entries >= _LEAST_ENTRIES else MAX_ENTRY_BYTES
        most = max(_LEAST_ENTRIES, self._most_bytes // max(each, 1))
        self._known[key] = (now + _MEASURE_SECONDS, most)
        return most


def _entries(pieces: Iterable[Piece]) -> dict[int, list[bytes]]:
    """The entries to add, by partition. No password of Flower's own stands in them."""
    apart: dict[int, list[Piece]] = defaultdict(list)
    for piece in pieces:
        apart[partition_of_chunk(piece)].append(piece)
    return {
        partition: [one for entry in encode_entries(ones) for one in without_secrets(entry)]
        for partition, ones in apart.items()
    }
