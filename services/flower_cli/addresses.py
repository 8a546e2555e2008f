"""Finding the addresses of the stores, and showing them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from flower_engine.errors import StoreError
from flower_engine.runtime.settings import Settings
from flower_engine.secrets import hide_secrets, learn_address

if TYPE_CHECKING:
    from flower_engine.embedded.home import RunningStores


def with_stores(settings: Settings, *, needs_database: bool = True) -> Settings:
    """The settings with both addresses filled in: those given, else those of a running ``flower up``. Who
    needs no Postgres is not asked for one.

    Raises:
        StoreError: an address is not given and no engine runs on the data folder; says how to go on.
    """
    if settings.redis_url and (settings.database_url or not needs_database):
        return settings
    running = _running(settings, needs_database=needs_database)
    return settings.model_copy(
        update={
            "redis_url": settings.redis_url or running.redis_url,
            "database_url": settings.database_url or running.database_url,
            "url": settings.url or running.api_url,
        }
    )


def address_lines(addresses: Mapping[str, str | None]) -> str:
    """The addresses for reading: passwords hidden, each with how to connect to it."""
    for address in addresses.values():
        learn_address(address)
    redis_url, database_url = addresses.get("redis_url"), addresses.get("database_url")
    rows: list[tuple[str, str]] = []
    if api_url := addresses.get("api_url"):
        rows += [("Dashboard", f"{api_url}/"), ("API", api_url), ("", f"{api_url}/docs")]
    if redis_url:
        rows += [("Redis", hide_secrets(redis_url)), ("", _redis_command(redis_url))]
    if database_url:
        rows += [("Postgres", hide_secrets(database_url)), ("", f"psql '{hide_secrets(database_url)}'")]
    return "\n".join(f"{name:<10}{text}" for name, text in rows)


def _running(settings: Settings, *, needs_database: bool) -> "RunningStores":
    from flower_engine.embedded.home import Home  # services of a supervisor are told where the stores are

    home = Home(settings.home)
    running = home.announced()
    if running is None:
        missing = [
            name
            for name, given in (
                ("FLOWER_REDIS_URL", settings.redis_url),
                ("FLOWER_DATABASE_URL", settings.database_url or not needs_database),
            )
            if not given
        ]
        raise StoreError(
            f"no engine runs on the data folder {home.path}: start one with 'flower up' (or name its folder "
            f"with --home or FLOWER_HOME), or set {' and '.join(missing)} to the servers to use"
        )
    for address in (running.redis_url, running.database_url):
        learn_address(address)
    return running


def _redis_command(url: str) -> str:
    if url.startswith("unix://"):  # redis-cli takes no such URL
        return f"redis-cli -s {unquote(urlsplit(url).path)}"
    return f"redis-cli -u {hide_secrets(url)}"
