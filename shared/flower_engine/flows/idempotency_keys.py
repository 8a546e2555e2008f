"""Idempotency keys: which flow has one, asked before a registration.

Redis knows a key until its registration is archived and an hour old, the archive from then on. So the
archive is asked first, and then the registration itself, which asks Redis.
"""

from collections.abc import Sequence

import psycopg

from flower_engine.errors import StoreUnavailableError
from flower_engine.flows.stores import Stores
from flower_engine.log.client import send
from flower_engine.log.partition import routed_over
from flower_engine.transitions.register_transition import Registered, partition_of_key


async def known_keys(stores: Stores, keys: Sequence[str]) -> dict[str, Registered]:
    """The flows that have these keys, as far as the archive knows, by key.

    Raises:
        psycopg.Error, StoreUnavailableError: the archive cannot be asked, and Redis does not know all of the
            keys: then nobody can say whether they are new.
    """
    try:
        found = await stores.key_owners.find(keys)
    except (psycopg.Error, StoreUnavailableError):
        known = await _known_to_redis(stores, keys)
        if len(known) < len(set(keys)):
            raise
        return known
    return {key: Registered("known", *owner) for key, owner in found.items()}


async def known_anywhere(stores: Stores, key: str) -> Registered | None:
    """The flow that has this key, as far as anybody knows by now, without a registration; raises as
    :func:`known_keys` does.

    Whoever asks again because an answer was lost shall have the first one, though it would be another now.
    """
    known = (await _known_to_redis(stores, [key])).get(key)  # first: what it forgets, the archive has by then
    return (await known_keys(stores, [key])).get(key) if known is None else known


async def _known_to_redis(stores: Stores, keys: Sequence[str]) -> dict[str, Registered]:
    known: dict[str, Registered] = {}
    for key in keys:
        partition = stores.partitions[partition_of_key(key, routed_over(stores.partitions))]
        value: bytes | None = await send(stores.redis, "GET", partition.keys.key(key))
        if value is not None:
            flow, _, workflow = value.decode().partition(" ")
            known[key] = Registered("known", flow, workflow)
    return known
