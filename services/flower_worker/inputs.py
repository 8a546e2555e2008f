"""From the references in a task's parameters to their values: results of other tasks, blobs, secrets."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import msgspec

from flower_engine.blobs.blob_stores import BlobStores, read
from flower_engine.errors import ParameterError
from flower_engine.model.blob_ref import BlobRef
from flower_engine.model.kept_results import BLOB, INLINE
from flower_engine.model.references import NoValueError, resolved
from flower_engine.model.result_json import MAX_STORED_RESULT_BYTES
from flower_engine.model.task_message import TaskMessage
from flower_engine.programs.parameter_binding import Provenance
from flower_engine.programs.provenance import provenance_of
from flower_worker.running_attempts import Attempt
from flower_worker.secret_values import Mask, Secrets
from flower_worker.transfers import Transfers

_decode_ref = msgspec.json.Decoder(BlobRef).decode
_decode_message = msgspec.json.Decoder(TaskMessage).decode

_MUCH_BYTES = 128 * 1024  # more is taken apart on a thread
_SHORT_BYTES = 4 * 1024  # of a message: of longer ones nothing is remembered


class LeaseGoneError(Exception):
    """The attempt's lease is not the task's current one any more."""


class Ready(NamedTuple):
    """A task as its program takes it; ``provenance``: of parameters that held references."""

    message: TaskMessage
    provenance: Mapping[str, Provenance]


class Inputs:
    """Resolves the references of claims."""

    def __init__(self, stores: BlobStores, secrets: Secrets, transfers: Transfers) -> None:
        self._stores = stores
        self._secrets = secrets
        self._transfers = transfers

    def at_once(self, attempt: Attempt, message: TaskMessage) -> Ready | None:
        """As :meth:`ready`, where all that the task reads is little and came with the claim; else None."""
        contents: dict[str, bytes | None] = {}
        if message.reads:
            kept, flow, left = attempt.kept or {}, attempt.claim.flow, _MUCH_BYTES
            for name, seq in message.reads.items():
                payload = kept.get((flow, seq), BLOB)
                left -= len(payload)
                if payload[:1] == BLOB or left < 0:
                    return None
                contents[name] = payload[1:] if payload[:1] == INLINE else None
        attempt.kept = None
        return _ready(attempt, message, self._resolved(attempt, message, contents))

    async def ready(self, attempt: Attempt, message: TaskMessage) -> Ready:
        """The task with its parameters resolved; the attempt masks its secrets from here on.

        Raises:
            MissingInputError, ParameterError: a result lacks what a parameter needs; names producer and path.
            SecretError, MissingBlobError: as they say.
            LeaseGoneError: its outcome would be refused.
        """
        payloads = await self._payloads(attempt, message)
        by_seq: dict[int, bytes | None] = {}
        for name, seq in message.reads.items():
            if seq not in by_seq:
                by_seq[seq] = await self._content(attempt, name, payloads[seq])
        contents = {name: by_seq[seq] for name, seq in message.reads.items()}
        resolve = partial(self._resolved, attempt, message, contents)
        much = sum(len(content or b"") for content in contents.values()) > _MUCH_BYTES
        parameters = await self._transfers.on_thread(resolve) if much else resolve()
        return _ready(attempt, message, parameters)

    async def _payloads(self, attempt: Attempt, message: TaskMessage) -> dict[int, bytes]:
        """What the producers have, by number: of those that did not come with the claim it is asked for."""
        kept, flow = attempt.kept or {}, attempt.claim.flow
        found = {seq: kept[flow, seq] for seq in message.reads.values() if (flow, seq) in kept}
        attempt.kept = None  # it may hold much, of other claims, too
        missing: Sequence[int] = sorted(set(message.reads.values()) - found.keys())
        if missing:
            more = await attempt.origin.read_kept(attempt.claim, missing)
            if more is None:
                raise LeaseGoneError
            found |= more
        return found

    async def _content(self, attempt: Attempt, name: str, payload: bytes) -> bytes | None:
        """The JSON of a producer's result; None: it has none."""
        kind, rest = payload[:1], payload[1:]
        if kind == INLINE:
            return rest
        if kind != BLOB:
            return None
        ref = _decode_ref(rest)
        if ref.bytes > MAX_STORED_RESULT_BYTES:
            raise ParameterError(f"the result of task {name} is {ref.bytes} bytes, more than JSON may have")
        store = self._stores.reading(ref.store)
        what = f"reads the result of task {name} ({ref.bytes} bytes) from {store}"
        return await self._transfers.run(attempt, what, partial(read, store, ref))

    def _resolved(
        self, attempt: Attempt, message: TaskMessage, contents: Mapping[str, bytes | None]
    ) -> dict[str, Any]:
        def value(name: str) -> Any:
            content = contents.get(name)
            if content is None:
                raise NoValueError(name)
            return msgspec.json.decode(content)

        values: list[str] = []

        def secret(name: str) -> str:
            values.append(self._secrets.value(message.workflow, name))
            return values[-1]

        try:
            return resolved(message.parameters, value, secret)
        finally:
            if values:
                attempt.mask = Mask(values)


def _ready(attempt: Attempt, message: TaskMessage, parameters: dict[str, Any]) -> Ready:
    plain = msgspec.structs.replace(message, parameters=parameters, reads={}, refs=False)
    is_short = len(attempt.claim.message) <= _SHORT_BYTES
    return Ready(plain, _provenance(attempt.claim.message) if is_short else provenance_of(message.parameters))


@lru_cache(1024)
def _provenance(message: bytes) -> Mapping[str, Provenance]:
    """Of a message, which flows of a workflow often share; finding it takes longer than all else here."""
    return provenance_of(_decode_message(message).parameters)
