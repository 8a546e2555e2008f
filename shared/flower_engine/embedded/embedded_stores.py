"""The two stores that an engine on this machine uses: started here, unless their address is given."""

import logging
import os
from types import TracebackType
from typing import NamedTuple

from flower_engine.embedded.home import Home, RunningStores
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.embedded.processes import ProcessMark
from flower_engine.embedded.store_restart import Restarting
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.runtime.settings import Settings
from flower_engine.secrets import hide_secrets

_log = logging.getLogger(__name__)


class Addresses(NamedTuple):
    """Where the two stores are."""

    redis_url: str
    database_url: str


class EmbeddedStores:
    """Starts the stores that have no URL in the settings, in a data folder that the caller holds.

    As a context manager, yields their addresses. While they run, other commands of the same user find them
    through the data folder (``Home.announced``).
    """

    def __init__(self, home: Home, settings: Settings, *, durable: bool = True) -> None:
        self._home = home
        self._settings = settings
        self._restarting: list[tuple[str, Restarting]] = []
        self._valkey = None if settings.redis_url else EmbeddedValkey(home, durable=durable)
        self._postgres = None if settings.database_url else EmbeddedPostgres(home, durable=durable)

    def start(self, api_url: str | None = None) -> Addresses:
        """Start what is not given, and announce it all. Raises StoreError; then nothing is left running."""
        try:
            redis_url = self._settings.redis_url or self._valkey_url()
            database_url = self._settings.database_url or self._postgres_url()
        except BaseException:
            self.stop()
            raise
        _log.info("Redis: %s, %s", _kind(self._settings.redis_url), hide_secrets(redis_url))
        _log.info("Postgres: %s, %s", _kind(self._settings.database_url), hide_secrets(database_url))
        embedded = [store for store in (self._valkey, self._postgres) if store]
        self._restarting = [(store.name, Restarting(store)) for store in embedded]
        owner = ProcessMark.of(os.getpid())
        self._home.announce(RunningStores(owner, redis_url, database_url, api_url))
        return Addresses(redis_url, database_url)

    @property
    def valkey_pid(self) -> int | None:
        """The embedded Valkey's process, if there is one."""
        return self._valkey.pid if self._valkey else None

    @property
    def postgres_pid(self) -> int | None:
        """The embedded Postgres' main process, if there is one."""
        return self._postgres.pid if self._postgres else None

    def has_ended(self) -> bool:
        """Whether an embedded store is no longer there although nobody stopped it."""
        return any(store is not None and store.has_ended() for store in (self._valkey, self._postgres))

    def restart_ended(self) -> list[str]:
        """Start the embedded stores again that ended by themselves (a crash, a kill), at the same addresses.

        Call it again and again: it does not wait for them. One that keeps ending is given a growing pause
        between, and its reason is said. Returns the names of those that answer again since the last call.
        """
        return [name for name, restarting in self._restarting if restarting.run_once()]

    def stop(self) -> None:
        """Stop what was started."""
        self._home.withdraw()
        for store in (self._valkey, self._postgres):
            if store:
                store.stop()

    def __enter__(self) -> Addresses:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _valkey_url(self) -> str:
        assert self._valkey is not None
        return self._valkey.start()

    def _postgres_url(self) -> str:
        assert self._postgres is not None
        return self._postgres.start()


def _kind(given: str | None) -> str:
    return "external" if given else "embedded"
