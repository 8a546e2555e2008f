"""A client of Redis for one partition whose time stands still, but where a test moves it on.

The scripts are those of production, with two things exchanged in the text that is sent: the clock, which is a
key of the partition, and the ids of log entries, which follow it, so that positions do, too. Who calls a
script knows nothing of that.
"""

import hashlib
import re
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import NoScriptError

from flower_engine.log.client import send
from flower_engine.log.keys import Keys

_CLOCK_READ = "local clock_parts = call('TIME')\n"
_CLOCK_OF_TEST = (
    "local clock_parts = (function() local ms = tonumber(call('GET', string.sub(KEYS[1], 1, -5) .. 'clock'));"
    " return { floor(ms / 1000), ms % 1000 * 1000 } end)()\n"
)
_NEW_LOG_ENTRY = re.compile(r"(call\('XADD', \(prefix \.\. 'log'\), )'\*'")
_TIME = "local ms = tonumber(redis.call('GET', KEYS[1])) return { math.floor(ms / 1000), ms % 1000 * 1000 }"


def with_clock_of_test(text: str) -> str:
    """The text of a script that takes the time from the partition's clock.

    Raises:
        ValueError: it takes the time, or appends to the log, in another way than is known here.
    """
    exchanged, entries = _NEW_LOG_ENTRY.subn(r"\1now .. '-*'", text.replace(_CLOCK_READ, _CLOCK_OF_TEST))
    appends = "appended[1]" in text
    if "'TIME'" in exchanged or appends is not bool(entries):
        raise ValueError(f"a script takes the time in a way that skipped time does not know: {text[:200]}")
    return exchanged


class _Exchange:
    """The scripts of the test, by the hashes of those of production."""

    def __init__(self, keys: Keys) -> None:
        self.clock_key = f"{keys.prefix}clock"
        self._shas: dict[str, str] = {}

    def command(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        match args:
            case ("EVALSHA", sha, *rest):
                if sha not in self._shas:
                    raise NoScriptError("not known here yet")
                return ("EVALSHA", self._shas[sha], *rest)
            case ("EVAL", text, *rest):
                exchanged = with_clock_of_test(text.decode()).encode()
                self._shas[_sha(text)] = _sha(exchanged)
                return ("EVAL", exchanged, *rest)
            case ("TIME",):
                return ("EVAL", _TIME, 1, self.clock_key)
            case _:
                return args


def _sha(text: bytes) -> str:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


class _SkippingPipeline(Pipeline):
    """A pipeline whose commands are exchanged, too. A script that is not known is sent as a whole."""

    exchange: _Exchange

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            args = self.exchange.command(args)
        except NoScriptError:
            args = ("EVALSHA", "0" * 40, *args[2:])  # the server refuses it in its place
        return super().execute_command(*args, **options)  # pyright: ignore[reportUnknownMemberType]


class SkippingRedis(Redis):
    """The client; connections are those of the pool."""

    def __init__(self, pool: ConnectionPool, keys: Keys) -> None:
        super().__init__(connection_pool=pool)  # pyright: ignore[reportUnknownMemberType]
        self._exchange = _Exchange(keys)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        exchanged = self._exchange.command(args)
        return await super().execute_command(*exchanged, **options)  # pyright: ignore

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        made = _SkippingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        made.exchange = self._exchange
        return made

    async def set_clock(self, ms: int) -> None:
        """Begins the partition's time."""
        await send(self, "SET", self._exchange.clock_key, ms)

    async def skip(self, ms: int) -> int:
        """Moves the partition's time on; returns what it is now."""
        return await send(self, "INCRBY", self._exchange.clock_key, ms)
