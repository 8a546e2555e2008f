"""``flower recover``: rebuilds a Redis that was lost, or went back in time, from the archive."""

from typing import TYPE_CHECKING, Annotated

import typer

from flower_cli.options import HomeOption, LogLevelOption

if TYPE_CHECKING:
    from flower_engine.runtime.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Recovery")(recover)


def recover(
    force: Annotated[
        bool,
        typer.Option("--force", help="Rebuild Redis also where it is whole: what only Redis has is lost"),
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="The old Postgres is gone: project Redis' log into an empty one"),
    ] = False,
    bridge: Annotated[
        bool,
        typer.Option(
            "--bridge", help="Postgres lost history for good: go on from what is under way in Redis"
        ),
    ] = False,
    home: HomeOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Rebuild a lost Redis from the archive in Postgres; leaves one that is whole alone.

    All flows that have not ended go on; tasks that ran wait for a new attempt. Services that wait for Redis
    take up work by themselves when this is done. Killed half way, it is simply run again.

    With --force the archive's history wins, whatever Redis has: for a Postgres that was restored from an
    older backup. Registrations that only Redis has are kept; all else that Postgres does not know happens
    again.

    With --bridge it is the other way round: Redis is left as it is, every flow that is under way is written
    into the log as it stands, and the projector goes on from there. What Postgres will never know is said,
    and kept in kr_gap. --adopt does the same where the log no longer has all that an empty Postgres lacks.
    """
    import asyncio

    from flower_cli.addresses import with_stores
    from flower_engine.runtime.settings_loading import load_settings
    from flower_engine.runtime.telemetry import configure_logging

    settings = load_settings(home=home, log_level=log_level)
    configure_logging("recover", log_level or "WARNING", form=settings.log_format)
    if force + adopt + bridge > 1:
        raise typer.BadParameter("--force, --adopt and --bridge exclude each other")
    settings = with_stores(settings)
    asyncio.run(_adopt(settings) if adopt else _bridge(settings) if bridge else _recover(settings, force))


async def _adopt(settings: "Settings") -> None:
    import psycopg
    from redis.exceptions import RedisError

    from flower_cli.commands.noted_commands import note_command
    from flower_cli.console import out
    from flower_cli.progress import Bars
    from flower_engine.errors import StoreError
    from flower_engine.log.client import connect
    from flower_engine.projection import database
    from flower_engine.runtime.adoption import adopt
    from flower_engine.store_faults import sentence_of

    assert settings.redis_url is not None
    assert settings.database_url is not None
    try:
        async with (
            connect(settings.redis_url) as client,
            await database.connect(settings.database_url, "recovery") as connection,
        ):
            with Bars(out) as bars:
                partitions, gaps = await adopt(client, connection, settings, bars.tell)
            await note_command(connection, "engine.adopted", installation=partitions[0].installation)
    except (RedisError, psycopg.Error, OSError) as error:
        raise StoreError(sentence_of(error)) from error
    out.print(
        f"Postgres belongs to installation {partitions[0].installation} now: a projector fills it from the"
        " log",
        markup=False,
        highlight=False,
    )
    for gap in gaps:
        out.print(str(gap), markup=False, highlight=False)


async def _bridge(settings: "Settings") -> None:
    import psycopg
    from redis.exceptions import RedisError

    from flower_cli.commands.noted_commands import note_command_at
    from flower_cli.console import out
    from flower_cli.progress import Bars
    from flower_engine.errors import StoreError
    from flower_engine.log.client import connect
    from flower_engine.runtime.gap_bridge import bridge_gaps
    from flower_engine.store_faults import sentence_of

    assert settings.redis_url is not None
    assert settings.database_url is not None
    async with connect(settings.redis_url) as client:
        try:
            with Bars(out) as bars:
                gaps = await bridge_gaps(client, settings.database_url, bars.tell)
            if gaps:
                await note_command_at(settings.database_url, "engine.bridged", gaps=len(gaps))
        except (RedisError, psycopg.Error, OSError) as error:
            raise StoreError(f"{sentence_of(error)}; nothing is lost by running this again") from error
    for gap in gaps:
        out.print(str(gap), markup=False, highlight=False)
    if not gaps:
        out.print("the log has everything that Postgres lacks: there is no gap")


async def _recover(settings: "Settings", force: bool) -> None:
    import psycopg
    from redis.exceptions import RedisError

    from flower_cli.commands.noted_commands import note_command_at
    from flower_cli.console import out
    from flower_cli.progress import Bars
    from flower_engine.errors import StoreError
    from flower_engine.log.client import connect
    from flower_engine.runtime.loss_recovery import recover_lost
    from flower_engine.store_faults import sentence_of

    assert settings.redis_url is not None
    away: dict[int, str] = {}
    async with connect(settings.redis_url) as client:
        try:
            with Bars(out) as bars:
                done = await recover_lost(client, settings, bars.tell, force=force, away=away)
        except (RedisError, psycopg.Error, OSError) as error:
            raise StoreError(f"{sentence_of(error)}; nothing is lost by running this again") from error
    for result in done:
        out.print(str(result), markup=False)
    if done:
        assert settings.database_url is not None
        await note_command_at(settings.database_url, "engine.recovered", partitions=len(done), force=force)
    for number, why in away.items():
        sentence = f"partition {number} is away, and was not looked at: {why}. Run this again when it is back"
        out.print(sentence, markup=False, highlight=False)
    if away:
        raise typer.Exit(1)
    if not done:
        out.print("Redis has everything that the archive says it should have: nothing to recover")
