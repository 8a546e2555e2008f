"""The loop that learns of changes of definitions, and so keeps the cache of plans right.

It listens; behind a pooler of transactions, where nobody can be told anything, it looks again and again.
"""

import asyncio
import logging
from collections.abc import Sequence

from flower_engine.flows.plans import Plans
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.definitions.definition_changes import DefinitionChanges
from flower_engine.projection.definitions.definition_rows import CHANNEL
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.loop import Loop
from flower_engine.store_faults import words_of

_log = logging.getLogger(__name__)

_LISTEN = f"LISTEN {CHANNEL}".encode()
_PING_SECONDS = 5.0  # a connection that died silently is noticed after at most twice this
_LOOK_SECONDS = 0.4  # a change acts within a second, whoever made it


class Listener:
    """Listens, or looks, and connects again whenever the connection is lost."""

    def __init__(self, database_url: str, plans: Plans) -> None:
        """``database_url``: one that leads to Postgres past any pooler, where there is one."""
        self._url = database_url
        self._plans = plans
        self._backoff = StoreBackoff(_log, "Postgres")
        self.problem: str | None = "nobody listens to changes of definitions yet"
        self.is_away = False
        """Whether Postgres was seen to be away; that nobody listens yet does not say so."""

    async def run(self) -> None:
        """Listens until cancelled."""
        await Loop("definitions", self.run_once, 0.0, self, is_watched=False).run()

    async def run_once(self) -> None:
        """Connects, and listens until the connection is lost.

        Raises:
            psycopg.Error, TimeoutError, OSError: it is lost, or could not be made.
        """
        async with await connect(self._url, "api listener") as connection:
            if connection.is_pooled:
                await self._look(connection)
            else:
                await self._listen(connection)

    async def _listen(self, connection: Connection) -> None:
        await connection.execute(_LISTEN)
        self._is_back()
        while True:
            async for notice in connection.notifies(timeout=_PING_SECONDS):
                self._forget([notice.payload])
            async with asyncio.timeout(_PING_SECONDS):
                await connection.execute("SELECT 1")

    async def _look(self, connection: Connection) -> None:
        changes = DefinitionChanges()

        async def look() -> None:
            async with asyncio.timeout(_PING_SECONDS):
                changed = await changes.look(connection)
            if changed is None:
                self._is_back()
            else:
                self._forget(changed)

        await Loop("looks for definitions", look, _LOOK_SECONDS, None).run()

    def _is_back(self) -> None:
        self.problem, self.is_away = None, False
        self._backoff.worked()
        self._plans.listener_is_back()

    def _forget(self, changed: Sequence[str]) -> None:
        for workflow in changed:
            if workflow:
                self._plans.forget(workflow)
            else:
                self._plans.forget_all()

    def failed(self, error: Exception) -> float:
        """The connection is lost, or could not be made; the seconds to wait before the next attempt."""
        if self.problem is None:  # it listened until now: the next attempt follows at once
            self.problem = "connecting again"
            self._plans.listener_is_lost()
            return 0.0
        self.problem, self.is_away = words_of(error), True
        self._plans.postgres_is_away()
        return self._backoff.failed(error)

    def worked(self) -> None:
        """It never returns, but for an error; that it listens again is said when it does."""
