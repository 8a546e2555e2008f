"""The loop that listens to changes of definitions, and so keeps the cache of plans right."""

import asyncio
import logging

import psycopg

from flower_engine.projection.database import connect
from flower_engine.projection.definitions import CHANNEL
from flower_engine.runtime.patience import Patience
from flower_register.plans import Plans
from flower_register.problems import one_line

_log = logging.getLogger(__name__)

_LISTEN = f"LISTEN {CHANNEL}".encode()
_PING_SECONDS = 5.0  # a connection that died silently is noticed after at most twice this


class Listener:
    """Listens, and connects again whenever the connection is lost."""

    def __init__(self, database_url: str, plans: Plans) -> None:
        self._url = database_url
        self._plans = plans
        self._patience = Patience(_log, "Postgres")
        self.problem: str | None = "nobody listens to changes of definitions yet"

    async def run(self) -> None:
        """Listens until cancelled."""
        while True:
            try:
                await self.run_once()
            except (psycopg.Error, TimeoutError, OSError) as error:
                await self._after(error)

    async def run_once(self) -> None:
        """Connects, and listens until the connection is lost.

        Raises:
            psycopg.Error, TimeoutError, OSError: it is lost, or could not be made.
        """
        async with await connect(self._url, "api listener") as connection:
            await connection.execute(_LISTEN)
            self.problem = None
            self._patience.worked()
            self._plans.listener_is_back()
            while True:
                async for notice in connection.notifies(timeout=_PING_SECONDS):
                    if notice.payload:
                        self._plans.forget(notice.payload)
                    else:
                        self._plans.forget_all()
                async with asyncio.timeout(_PING_SECONDS):
                    await connection.execute("SELECT 1")

    async def _after(self, error: Exception) -> None:
        if self.problem is None:  # it listened until now: the next attempt follows at once
            self.problem = "connecting again"
            self._plans.listener_is_lost()
            return
        self.problem = one_line(error)
        self._plans.postgres_is_away()
        await asyncio.sleep(self._patience.failed(error))
