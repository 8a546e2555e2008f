"""``flower partitions``: how each stands, adding some to an engine that works, and retiring them."""

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
    retire: Annotated[
        int | None,
        typer.Option(
            "--retire", min=0, max=4095, help="Give this one no new flows, and take it away when empty."
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=0, max=4095, help="Give this one new flows again, unless it has gone."),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Say how each partition stands: its flows, how far Postgres is behind, the node of a cluster it is on.

    With --add there are more of them from then on. New flows go there, too; flows that are under way end
    where they are; running services take them up by themselves, within seconds. Idempotency keys, schedules
    and their flows stay in the partitions that there were at first. One that was added is retired with
    --retire: it gets no new flows, and a projector takes it away when the last one has ended and all is
    archived; --keep takes that back until then. It works on the stores, not over HTTP.
    """
    import asyncio

    import psycopg
    from redis.exceptions import RedisError

    from flower_cli.addresses import with_stores
    from flower_engine.errors import StoreError
    from flower_engine.runtime.settings_loading import load_settings
    from flower_engine.runtime.telemetry import configure_logging
    from flower_engine.store_faults import sentence_of

    if sum(given is not None for given in (add, retire, keep)) > 1:
        raise typer.BadParameter("give one of --add, --retire and --keep at a time")
    settings = with_stores(load_settings(home=home, log_level=log_level))
    configure_logging("partitions", log_level or "WARNING", form=settings.log_format)
    try:
        asyncio.run(_partitions(settings, add, retire, keep, as_json))
    except (psycopg.Error, RedisError, OSError) as error:
        raise StoreError(sentence_of(error)) from error


async def _partitions(
    settings: "Settings", add: int | None, retire: int | None, keep: int | None, as_json: bool
) -> None:
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
        if retire is not None:
            await _retire(client, connection, retire, as_json)
        if keep is not None:
            await _keep(client, connection, keep, as_json)
        await _show(client, connection, as_json)


async def _add(client: "AsyncRedis", connection: "Connection", more: int, as_json: bool) -> None:
    from flower_cli.commands.noted_commands import note_command
    from flower_cli.console import out
    from flower_engine.projection.maintain.migrations import refuse_newer_tables
    from flower_engine.runtime.adding_partitions import add_partitions

    await refuse_newer_tables(connection)
    made = await add_partitions(client, connection, more)
    for one in made:
        await note_command(connection, "partition.added", name=str(one.number))
    if not as_json:
        numbers = ", ".join(str(one.number) for one in made)
        out.print(f"added {numbers}: running services take them up within seconds", highlight=False)


async def _retire(client: "AsyncRedis", connection: "Connection", number: int, as_json: bool) -> None:
    from flower_cli.commands.noted_commands import at_the_shell
    from flower_cli.console import out
    from flower_engine.projection.maintain.migrations import refuse_newer_tables
    from flower_engine.runtime.retiring_partitions import retire_partition

    await refuse_newer_tables(connection)
    await retire_partition(client, connection, number, by=at_the_shell())
    if not as_json:
        out.print(
            f"partition {number} gets no new flows: a projector takes it away when it is empty",
            highlight=False,
        )


async def _keep(client: "AsyncRedis", connection: "Connection", number: int, as_json: bool) -> None:
    from flower_cli.commands.noted_commands import at_the_shell
    from flower_cli.console import out
    from flower_engine.projection.maintain.migrations import refuse_newer_tables
    from flower_engine.runtime.retiring_partitions import keep_partition

    await refuse_newer_tables(connection)
    await keep_partition(client, connection, number, by=at_the_shell())
    if not as_json:
        out.print(f"partition {number} gets new flows", highlight=False)


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
    table = Table("partition", "flows open", "events not projected", "node", "", "")
    for one in found:
        behind = "" if one.unprojected is None else f"{one.unprojected:,}"
        table.add_row(str(one.partition), f"{one.flows:,}", behind, one.node, one.state, one.problem)
    out.print(table)
