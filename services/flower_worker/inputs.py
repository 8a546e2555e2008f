"""From the references in a task's parameters to their values: results of other tasks, blobs, secrets."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from flower_engine.blobs.blob_stores import BlobStores, read
from flower_engine.errors import ParameterError
from flower_engine.model.definitions.task_message import TaskMessage, may_read
from flower_engine.model.folding.kept_results import BLOB, INLINE, NOTHING
from flower_engine.model.parameters.references import NoValueError, resolved
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.result_json import MAX_STORED_RESULT_BYTES
from flower_engine.programs.parameter_binding import Provenance
from flower_engine.programs.provenance import LateProvenance
from flower_worker.input_plans import plan_of
from flower_worker.running_attempts import Attempt
from flower_worker.secret_values import Mask, Secrets
from flower_worker.transfers import Transfers

_decode_ref = msgspec.json.Decoder(BlobRef).decode

_MUCH_BYTES = 128 * 1024  # more is taken apart on a thread


class LeaseGoneError(Exception):
    """The attempt's lease is not the task's current one any more."""


class Ready(NamedTuple):
    """A task whose references are resolved: ``parameters`` are those of its program, in place of those of its
    message; ``provenance``: of those that held references."""

    message: TaskMessage
    parameters: dict[str, Any]
    provenance: Mapping[str, Provenance]


class Inputs:
    """Resolves the references of claims."""

    def __init__(self, stores: BlobStores, secrets: Secrets, transfers: Transfers) -> None:
        self._stores = stores
        self._secrets = secrets
        self._transfers = transfers

    def as_planned(self, attempt: Attempt) -> Ready | None:
        """As :meth:`at_once`, before the message was read, where it is like others; else None."""
        kept, claim = attempt.kept, attempt.claim
        if not kept or (plan := plan_of(claim.message)) is None:
            return None
        parameters = plan.parameters(claim.member, kept, _MUCH_BYTES)
        if parameters is None:
            return None
        attempt.kept = None
        return Ready(plan.message, parameters, plan.provenance)

    def at_once(self, attempt: Attempt, message: TaskMessage) -> Ready | None:
        """As :meth:`ready`, where all that the task reads is little and came with the claim; else None."""
        contents: dict[str, bytes | None] = {}
        if message.reads:
            kept, claim, left = attempt.kept or {}, attempt.claim, _MUCH_BYTES
            for name, seq in message.reads.items():
                payload = kept.get(claim.input_name(seq), BLOB) if may_read(message, seq) else NOTHING
                left -= len(payload)
                if payload[:1] == BLOB or left < 0:
                    return None
                contents[name] = payload[1:] if payload[:1] == INLINE else None
        attempt.kept = None
        return _ready(message, self._resolved(attempt, message, contents))

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
        return _ready(message, parameters)

    async def _payloads(self, attempt: Attempt, message: TaskMessage) -> dict[int, bytes]:
        """What the producers have, by number: of those that did not come with the claim it is asked for."""
        kept = attempt.kept or {}
        names = {seq: attempt.claim.input_name(seq) for seq in message.reads.values()}
        found = {seq: kept[name] for seq, name in names.items() if name in kept}
        attempt.kept = None  # it may hold much, of other claims, too
        missing: Sequence[int] = sorted(set(message.reads.values()) - found.keys())
        if missing:
            more = await attempt.origin.read_kept(attempt.claim, missing)
            if more is None:
                raise LeaseGoneError
            found |= more
        return {seq: payload if may_read(message, seq) else NOTHING for seq, payload in found.items()}

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


def _ready(message: TaskMessage, parameters: dict[str, Any]) -> Ready:
    return Ready(message, parameters, LateProvenance(message.parameters))
