"""A client of Redis for code that awaits its replies, on a connection that blocks: they are there at once.

A machine makes some ten calls a step, one after the other. With an event loop each of them is a task and a
run of the loop, which cost more CPU than what is asked and answered.
"""

from collections.abc import Awaitable, Sequence
from typing import Any, Self, TypeVar, cast

from redis import Redis, ResponseError

from flower_engine.log.client import AsyncRedis

T = TypeVar("T")


class _Pipeline:
    """Commands that are sent in one piece."""

    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._commands: list[Sequence[Any]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def execute_command(self, *command: Any) -> None:
        self._commands.append(command)

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        replies = self._client.replies(self._commands)
        self._commands = []
        for reply in replies if raise_on_error else ():
            if isinstance(reply, ResponseError):
                raise reply
        return replies


class _Client:
    def __init__(self, blocking: Any) -> None:
        self._blocking = blocking
        self._connection = blocking.connection_pool.get_connection()

    async def execute_command(self, *command: Any) -> Any:
        self._connection.send_command(*command)
        return self._reply(command)

    def pipeline(self, *, transaction: bool) -> _Pipeline:
        assert not transaction, "no transition needs one"
        return _Pipeline(self)

    def replies(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """What each of these commands is answered, errors among it."""
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        replies: list[Any] = []
        for command in commands:
            try:
                replies.append(self._reply(command))
            except ResponseError as error:
                replies.append(error)
        return replies

    def _reply(self, command: Sequence[Any]) -> Any:
        return self._blocking.parse_response(self._connection, command[0])


def client_at_once(blocking: Redis) -> AsyncRedis:
    """What the transitions use of an asyncio client."""
    return cast(AsyncRedis, _Client(blocking))


def replies_of(client: AsyncRedis, *commands: Sequence[Any]) -> list[Any]:
    """What Redis replies to each of these commands, which such a client sends in one piece."""

    async def ask() -> list[Any]:
        async with client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)  # pyright: ignore[reportUnknownMemberType]
            return await pipe.execute()

    return result_of(ask())


def result_of(call: Awaitable[T]) -> T:
    """What an awaitable comes to that waits for nothing but such a client."""
    try:
        next(call.__await__())
    except StopIteration as done:
        return done.value
    raise AssertionError(f"{call} waits for something else")
