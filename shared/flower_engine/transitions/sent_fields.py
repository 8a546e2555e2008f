"""Fields of a large flow, sent ahead of the call that registers it.

A script that writes 20,000 fields holds Redis for 20 to 50 ms. So these are written before, by commands that
take well below a millisecond each, under a key that nobody looks at; the call gives that key the name of the
flow, which takes no longer for many fields than for few. Whoever sent fields and died leaves a key that
expires. Where it has expired before the call comes, or Redis has lost it, the call does nothing, and is made
once more with all fields in it.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

from redis.exceptions import RedisError

from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.partition import Partition
from flower_engine.transitions.loader import Arg

LARGE = 1_000
"""The fields of a flow of more tasks than this are sent ahead."""

NOT_THERE = b"anew"
"""The word of a call that does not find them."""

NOT_SENT = "-"
"""A name under which nothing is ever sent: of fields that are not needed yet."""


class HasFields(Protocol):
    """A plan of flows, as far as this page needs it."""

    tasks: int
    fields: tuple[Arg, ...]


_KEEP_SECONDS = 60
_DROP_SECONDS = 1.0  # whoever waits is to hear what went wrong
_VALUES_PER_COMMAND = 1_000


async def send_ahead(client: AsyncRedis, partition: Partition, tasks: int, fields: Sequence[Arg]) -> str:
    """Sends the fields of a flow of so many tasks; the name that they have then, or "" where they are few and
    come with the call.

    Raises:
        OutOfMemoryError: there is no room for them.
    """
    if tasks <= LARGE:
        return ""
    name = secrets.token_hex(8)
    key = partition.keys.sent(name)
    async with dropped_on_error(client, partition, [name]):
        async with client.pipeline(transaction=False) as pipeline:
            for first in range(0, len(fields), _VALUES_PER_COMMAND):
                # Each with its expiry: the key may have expired since the one before, and is never there
                # without one, wherever the connection is cut. As bytes: redis-py would read "QUEUED" as the
                # commands' own answers.
                queue_command(pipeline, b"MULTI")
                queue_command(pipeline, b"HSET", key, *fields[first : first + _VALUES_PER_COMMAND])
                queue_command(pipeline, b"EXPIRE", key, _KEEP_SECONDS)
                queue_command(pipeline, b"EXEC")
            replies = await pipeline.execute(raise_on_error=False)  # its own errors would quote the fields
        for reply in replies:
            # EXEC tells what the others said.
            said = cast("list[Any]", reply) if isinstance(reply, list) else [reply]
            for error in said:
                if isinstance(error, Exception):
                    raise error
    return name


async def call_with_fields_ahead(
    client: AsyncRedis,
    partition: Partition,
    plan: HasFields,
    call: Callable[[str], Awaitable[list[bytes]]],
    *,
    taken: bytes | None = None,
) -> list[bytes]:
    """The words of a call that begins a flow of this plan, alone. ``call`` is told the name of the fields
    that were sent ahead, or "" where they come with it; ``taken``: the word that says that it took them
    (None: none says it for sure).

    Raises:
        OutOfMemoryError: there is no room for them.
    """
    ahead = await send_ahead(client, partition, plan.tasks, plan.fields)
    if not ahead:
        return await call("")
    async with dropped_on_error(client, partition, [ahead]):
        words = await call(ahead)
        if words == [NOT_THERE]:
            words = await call("")
    if taken is None or words != [taken]:
        await drop_sent(client, partition, [ahead])
    return words


@contextlib.asynccontextmanager
async def dropped_on_error(
    client: AsyncRedis, partition: Partition, names: Sequence[str]
) -> AsyncGenerator[None]:
    """Where this fails, what was sent ahead by these names goes at once: else each further try would add as
    much where memory is full. What a call took whose reply was lost has no such name any more."""
    try:
        yield
    except Exception:
        with contextlib.suppress(RedisError, OSError):  # then it expires
            async with asyncio.timeout(_DROP_SECONDS):
                await drop_sent(client, partition, names)
        raise


async def drop_sent(client: AsyncRedis, partition: Partition, names: Sequence[str]) -> None:
    """What was sent ahead by these names, and was not taken by the call, goes at once."""
    if names:
        await send(client, "UNLINK", *map(partition.keys.sent, names))
