"""Connections that find their server each time they are made; see ``whereabouts.py``.

Where a server answers that it is not the one that takes the command, nothing of the command was done, and the
connection is given up: for redis-py that is an outage like any other, so what was sent is sent again, on a
connection to where the server is then.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from redis.asyncio.connection import AbstractConnection as AsyncAbstract
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as LostConnectionError

from flower_engine.log.server_addresses import Host
from flower_engine.log.whereabouts import NodeOfPartition, Whereabouts

ASK_SECONDS = 2.0  # for each that is asked: others may know, too
_REFUSALS = (AuthenticationError, NoPermissionError)  # the others will say the same, and no waiting heals it


def located(kind: type[Any], whereabouts: Whereabouts, asking: "Asking") -> type[Any]:
    """A kind of asyncio connections of redis-py's that are made to where a server is then."""

    async def _connect(self: Any) -> None:
        host = whereabouts.known() or await _find()
        self.host, self.port = host
        try:
            await kind._connect(self)
        except (OSError, RedisError):
            whereabouts.doubt(host)
            raise

    async def _find() -> Host:
        failure: Exception | None = None
        for asked in whereabouts.to_ask():
            try:
                found = whereabouts.learn(asked, await asking.ask(asked, whereabouts.question))
            except _REFUSALS:
                raise
            except (RedisError, OSError) as error:
                failure = error
                continue
            if found is not None:
                return found
        with _because_of(failure):
            return whereabouts.last()

    async def read_response(self: Any, *args: Any, **named: Any) -> Any:
        try:
            return await kind.read_response(self, *args, **named)
        except _NOT_HERE as error:
            problem = _judge(error, self, whereabouts)
            if isinstance(problem, LostConnectionError):
                await self.disconnect(nowait=True)
            raise problem from None  # the cause would be taken for what it is

    return type(f"Located{kind.__name__}", (kind,), {"_connect": _connect, "read_response": read_response})


def located_blocking(kind: type[Any], whereabouts: Whereabouts, asking: "Asking") -> type[Any]:
    """The same for connections of threads."""

    def _connect(self: Any) -> Any:
        host = whereabouts.known() or _find()
        self.host, self.port = host
        try:
            return kind._connect(self)
        except (OSError, RedisError):
            whereabouts.doubt(host)
            raise

    def _find() -> Host:
        failure: Exception | None = None
        for asked in whereabouts.to_ask():
            try:
                found = whereabouts.learn(asked, asking.ask_blocking(asked, whereabouts.question))
            except _REFUSALS:
                raise
            except (RedisError, OSError) as error:
                failure = error
                continue
            if found is not None:
                return found
        with _because_of(failure):
            return whereabouts.last()

    def read_response(self: Any, *args: Any, **named: Any) -> Any:
        try:
            return kind.read_response(self, *args, **named)
        except _NOT_HERE as error:
            problem = _judge(error, self, whereabouts)
            if isinstance(problem, LostConnectionError):
                self.disconnect()
            raise problem from None  # the cause would be taken for what it is

    return type(f"Located{kind.__name__}", (kind,), {"_connect": _connect, "read_response": read_response})


class Asking:
    """Asks sentinels or nodes, each on a connection that lasts for one question."""

    def __init__(self, make: Callable[[Host], AsyncAbstract], make_blocking: Callable[[Host], Any]) -> None:
        """Both make a connection to a host; it is not connected yet."""
        self._make = make
        self._make_blocking = make_blocking

    async def ask(self, host: Host, question: tuple[str, ...]) -> Any:
        """The reply as it came. Raises RedisError, OSError: there is none."""
        connection = self._make(host)
        try:
            await connection.connect()
            await connection.send_command(*question)
            return await connection.read_response()  # pyright: ignore[reportUnknownVariableType]
        finally:
            await connection.disconnect(nowait=True)

    def ask_blocking(self, host: Host, question: tuple[str, ...]) -> Any:
        """The same from a thread that has no event loop."""
        connection = self._make_blocking(host)
        try:
            connection.connect()
            connection.send_command(*question)
            return connection.read_response()
        finally:
            connection.disconnect()


_NOT_HERE = (AskError, ReadOnlyError, ClusterDownError)  # a MovedError is an AskError


def _judge(error: Exception, connection: Any, whereabouts: Whereabouts) -> RedisError:
    here: Host = (connection.host, connection.port)
    if isinstance(error, MovedError):
        whereabouts.doubt(here)
        slot, _, place = str(error).rpartition(" ")
        host, _, port = place.rpartition(":")
        if isinstance(whereabouts, NodeOfPartition) and port.isdecimal():
            whereabouts.moved((host.strip("[]") or here[0], int(port)))
        return LostConnectionError(f"the node at {here[0]}:{here[1]} does not serve slot {slot} any more")
    if isinstance(error, AskError):
        # Its keys go over one by one: what is half there must not be worked on. Decision 87.
        return TryAgainError(
            "TRYAGAIN the slot of this partition is being moved to another node key by key; the partition"
            " stands still until all of it is there"
        )
    whereabouts.doubt(here)
    return LostConnectionError(f"the server at {here[0]}:{here[1]} takes no commands now: {error}")


@contextlib.contextmanager
def _because_of(failure: Exception | None) -> Any:
    """What nobody could tell, with what kept the last one that was asked from telling it."""
    try:
        yield
    except LostConnectionError as error:
        if failure is None:
            raise
        raise LostConnectionError(f"{error}; the last one said: {failure}") from failure
