"""Publishes what a worker's programs take and say of themselves, for as long as it lives."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from flower_engine.insight.published_signatures import PUBLISH_AGAIN_SECONDS, digest_of, publish
from flower_engine.log.client import AsyncRedis
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition
from flower_engine.programs.registry import Registry
from flower_engine.programs.self_description import published
from flower_engine.programs.signature import Signature
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.loop import Loop

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 10.0
Signatures = Mapping[str, Signature]


def signatures_of(registry: Registry) -> dict[str, Signature]:
    """What each program takes, by name."""
    return {one.name: one.binder.signature for one in sorted(registry, key=lambda program: program.name)}


class Described:
    """What a worker's programs say of themselves, found once."""

    def __init__(self, registry: Registry) -> None:
        self.signatures: Signatures = signatures_of(registry)
        self._registry = registry
        self._whole: asyncio.Task[Signatures] | None = None

    async def whole(self) -> Signatures:
        """All of it, which takes time to find."""
        if self._whole is None:
            self._whole = asyncio.create_task(_whole(self._registry))
        return await asyncio.shield(self._whole)


async def keep_published(
    client: AsyncRedis,
    partitions: Sequence[Partition],
    described: Described,
    began: asyncio.Event,
    tell: Callable[[str], None],
) -> None:
    """Publishes until cancelled: signatures at once, the rest when the worker has begun, as that takes time.
    ``tell`` is then called with the digest of the rest. Where it cannot be done tasks run all the same, and
    nobody checks what parameters they are given."""
    whole: Signatures | None = None

    async def publish_all() -> None:
        nonlocal whole
        if whole is None:
            await _publish(described.signatures)
            await began.wait()
            whole = await described.whole()
        await _publish(whole)
        tell(digest_of(whole))

    async def _publish(signatures: Signatures) -> None:
        told = await from_each(client, partitions, lambda one: publish(client, one, signatures))
        told.raise_away()

    backoff = SteadyBackoff(_log, "what the programs take could not be published: %s", _RETRY_SECONDS)
    await Loop("signatures", publish_all, PUBLISH_AGAIN_SECONDS, backoff, is_watched=False).run()


async def _whole(registry: Registry) -> Signatures:
    """All that programs say of themselves; of one whose types fail at that only the signature. It is found on
    a thread of its own, which does not keep the process: it runs code of the programs' authors."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Signatures] = loop.create_future()

    def settle(whole: Signatures) -> None:
        if not found.done():
            found.set_result(whole)

    def find() -> None:
        whole = signatures_of(registry)
        for one in registry:
            try:
                whole[one.name] = published(one)
            except Exception as error:  # noqa: BLE001 # whatever code of types raises
                _log.debug("program %s publishes its signature alone: %s", one.name, error)
        try:
            loop.call_soon_threadsafe(settle, whole)
        except RuntimeError:  # the worker has ended meanwhile
            _log.debug("nobody waits any more for what the programs say of themselves")

    try:
        threading.Thread(target=find, name="schemas", daemon=True).start()
    except RuntimeError as error:  # none can be made
        _log.debug("programs publish their signatures alone: %s", error)
        return signatures_of(registry)
    return await found
