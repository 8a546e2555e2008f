"""Makes decisions, and maps: whoever comes first evaluates, a worker, or a watcher where none does."""

import logging
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from flower_engine.errors import BlobStoreError, MissingBlobError, SettingsError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.folding.kept_results import BLOB, INLINE
from flower_engine.model.maps.decision_outcomes import Decided, outcome_of
from flower_engine.model.maps.map_expansion import Expansion
from flower_engine.model.tasks.raised_errors import encode_error
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.runtime.expanding import Maps, Put
from flower_engine.transitions.decision_transitions import Undecided, decide, due_decisions

_log = logging.getLogger(__name__)
_decode_message = msgspec.json.Decoder(TaskMessage).decode
_decode_ref = msgspec.json.Decoder(BlobRef).decode

Evaluated = Decided | Expansion
Fetch = Callable[[BlobRef], Awaitable[bytes]]
"""Reads the content of a blob."""


class Decider:
    """Makes the decisions of one partition, and its maps."""

    def __init__(
        self,
        client: AsyncRedis,
        partition: Partition,
        by: str,
        fetch: Fetch | None = None,
        put: Put | None = None,
        *,
        looks: AsyncRedis | None = None,
    ) -> None:
        """``by``: who it is, for the history. ``fetch`` None: what reads a blob is left to others, and so is
        a map whose list is large. ``put`` stores such a list; None: there is no store. ``looks``: by whom
        it is asked whether there are any (default: by the client)."""
        self._client = client
        self._looks = looks or client
        self._partition = partition
        self._by = by
        self._fetch = fetch
        self._maps = Maps(client, partition, by, put, is_last=fetch is not None)

    async def run_once(self, least_ms: int = 0) -> int:
        """Makes some that nobody has made for so long; how many were handed in.

        Raises:
            LostError: Redis lost its state.
            redis.exceptions.RedisError, OSError: it does not answer; nothing is lost.
        """
        due = await due_decisions(self._looks, self._partition, least_ms=least_ms)
        evaluated = [(one, outcome) for one in due if (outcome := await self._outcome(one)) is not None]
        decided = [(one, outcome) for one, outcome in evaluated if isinstance(outcome, Decided)]
        for one, outcome in evaluated:
            if isinstance(outcome, Expansion):
                error = await self._maps.expand(one, outcome)
                decided += [] if error is None else [(one, error)]
        if decided:
            words = await decide(self._client, self._partition, self._by, decided)
            _log.debug("%s decided %d, of which %d counted", self._by, len(words), words.count("ok"))
        return len(evaluated)

    async def _outcome(self, one: Undecided) -> Evaluated | None:
        message = _decode_message(one.message)
        contents: dict[int, bytes | None] = {}
        for seq, payload in self._payloads(one, message):
            if not payload.startswith(BLOB):
                contents[seq] = payload[1:] if payload.startswith(INLINE) else None
                continue
            if self._fetch is None:
                return None
            try:
                contents[seq] = await self._fetch(_decode_ref(payload[1:]))
            except MissingBlobError as error:
                return Decided(None, encode_error(error))
            except (BlobStoreError, SettingsError) as error:
                _log.warning("%s cannot be decided now: %s", one, error)
                return None
        if one.of_map is not None:
            return await self._maps.evaluated(one, one.of_map, message, contents)
        outcome = outcome_of(message, contents)
        return await self._maps.stored(outcome) if outcome.says == "returned" else outcome

    def _payloads(self, one: Undecided, message: TaskMessage) -> Iterable[tuple[int, bytes]]:
        """Of each task that is read what Redis has."""
        if one.of_map is not None and one.of_map.items:
            items = list(zip(one.of_map.items, one.of_map.payloads, strict=True))
            read = [(seq, one.input(seq)) for seq in message.reads.values()] if one.inputs else []
            return read + items
        return ((seq, one.input(seq)) for seq in message.reads.values())
