"""Idempotency keys: which flow has one, asked before a registration.

Redis knows a key until its registration is archived and an hour old, Postgres from the archiving on. So
Postgres is asked first, and then the registration itself, which asks Redis.
"""

from collections.abc import Sequence

import psycopg

from flower_api.problems import ProblemError
from flower_api.stores import Stores
from flower_engine.log.client import send
from flower_engine.projection.read.queries import find_by_keys
from flower_engine.transitions.register_transition import Registered, partition_of_key


async def known_keys(stores: Stores, keys: Sequence[str]) -> dict[str, Registered]:
    """The flows that have these keys, as far as Postgres knows, by key.

    Raises:
        psycopg.Error, ProblemError: Postgres cannot be asked, and Redis does not know all of the keys:
            then nobody can say whether they are new.
    """
    try:
        async with stores.postgres() as connection:
            found = await find_by_keys(connection, keys)
    except (psycopg.Error, ProblemError):
        known = await _known_to_redis(stores, keys)
        if len(known) < len(set(keys)):
            raise
        return known
    return {key: Registered("known", flow, workflow) for key, (flow, workflow) in found.items()}


async def _known_to_redis(stores: Stores, keys: Sequence[str]) -> dict[str, Registered]:
    known: dict[str, Registered] = {}
    for key in keys:
        partition = stores.partitions[partition_of_key(key, len(stores.partitions))]
        value: bytes | None = await send(stores.redis, "GET", partition.keys.key(key))
        if value is not None:
            flow, _, workflow = value.decode().partition(" ")
            known[key] = Registered("known", flow, workflow)
    return known
