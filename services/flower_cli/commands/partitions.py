"""``flower partitions``: how each partition stands, and adding some to an engine that works."""

from typing import TYPE_CHECKING, Annotated

import typer

from flower_cli.commands.api_options import JsonOption
from flower_cli.options import HomeOption, LogLevelOption

if TYPE_CHECKING:
    from flower_engine.log.client import AsyncRedis
    from flower_engine.projection.database import Connection
    from flower_engine.runtime.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Recovery")(partitions)


def partitions(
    add: Annotated[
        int | None, typer.Option("--add", min=1, max=4095, help="Add so many, while the engine runs.")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Say how each partition stands: its flows, how far Postgres is behind, the node of a cluster it is on.

    With --add there are more of them from then on. New flows go there, too; flows that are under way end
    where they are; running services take them up by themselves, within seconds. Idempotency keys, schedules
    and their flows stay in the partitions that there were at first. It works on the stores, not over HTTP.
    """
    import asyncio

    import psycopg
    from redis.exceptions import RedisError

    from flower_cli.addresses import with_stores
    from flower_engine.errors import StoreError
    from flower_engine.runtime.settings_loading import load_settings
    from flower_engine.runtime.telemetry import configure_logging
    from flower_engine.store_faults import sentence_of

    settings = with_stores(load_settings(home=home, log_level=log_level))
    configure_logging("partitions", log_level or "WARNING", form=settings.log_format)
    try:
        asyncio.run(_partitions(settings, add, as_json))
    except (psycopg.Error, RedisError, OSError) as error:
        raise StoreError(sentence_of(error)) from error


async def _partitions(settings: "Settings", add: int | None, as_json: bool) -> None:
    from flower_engine.log.client import connect
    from flower_engine.projection import database

    assert settings.redis_url is not None
    assert settings.database_url is not None
    async with (
        connect(settings.redis_url) as client,
        await database.connect(settings.database_url, "partitions") as connection,
    ):
        if add is not None:
            await _add(client, connection, add, as_json)
        await _show(client, connection, as_json)


async def _add(client: "AsyncRedis", connection: "Connection", more: int, as_json: bool) -> None:
    from flower_cli.console import out
    from flower_engine.projection.maintain.migrations import refuse_newer_tables
    from flower_engine.runtime.adding_partitions import add_partitions

    await refuse_newer_tables(connection)
    made = await add_partitions(client, connection, more)
    if not as_json:
        numbers = ", ".join(str(one.number) for one in made)
        out.print(f"added {numbers}: running services take them up within seconds", highlight=False)


async def _show(client: "AsyncRedis", connection: "Connection", as_json: bool) -> None:
    from rich.table import Table

    from flower_cli.commands.api_client import print_json
    from flower_cli.console import out
    from flower_engine.runtime.partition_standings import partition_standings

    found = await partition_standings(client, connection)
    if as_json:
        import msgspec

        print_json(msgspec.json.encode(found))
        return
    table = Table("partition", "flows open", "events not projected", "node", "")
    for one in found:
        behind = "" if one.unprojected is None else f"{one.unprojected:,}"
        table.add_row(str(one.partition), f"{one.flows:,}", behind, one.node, one.problem)
    out.print(table)
