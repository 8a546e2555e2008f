"""A client of Redis for code that awaits its replies, on a connection that blocks: they are there at once.

A machine makes some ten calls a step, one after the other. With an event loop each of them is a task and a
run of the loop, which cost more CPU than what is asked and answered.
"""

from collections.abc import Awaitable
from typing import Any, Self, TypeVar, cast

from redis import Redis

from flower_engine.log.client import AsyncRedis

T = TypeVar("T")


class _Pipeline:
    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pipeline.reset()

    def execute_command(self, *command: Any) -> None:
        self._pipeline.execute_command(*command)

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        return self._pipeline.execute(raise_on_error)


class _Client:
    def __init__(self, blocking: Any) -> None:
        self._blocking = blocking
        self._connection = blocking.connection_pool.get_connection()

    async def execute_command(self, *command: Any) -> Any:
        self._connection.send_command(*command)
        return self._blocking.parse_response(self._connection, command[0])

    def pipeline(self, *, transaction: bool) -> _Pipeline:
        return _Pipeline(self._blocking.pipeline(transaction=transaction))


def client_at_once(blocking: Redis) -> AsyncRedis:
    """What the transitions use of an asyncio client."""
    return cast(AsyncRedis, _Client(blocking))


def result_of(call: Awaitable[T]) -> T:
    """What an awaitable comes to that waits for nothing but such a client."""
    try:
        next(call.__await__())
    except StopIteration as done:
        return done.value
    raise AssertionError(f"{call} waits for something else")
