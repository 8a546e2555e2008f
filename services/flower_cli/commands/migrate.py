"""``flower migrate``: the tables of this version, before any service of it begins."""

from typing import TYPE_CHECKING, Annotated

import typer

from flower_cli.options import HomeOption

if TYPE_CHECKING:
    from flower_engine.runtime.settings import Settings

_EXIT_MISSING = 1


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Recovery")(migrate)


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 where a migration is missing")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Bring the tables in Postgres up to date, as the first API or projector would at its start.

    Whoever does so at the same time waits, and each migration is applied once. Redis is not needed.
    """
    import asyncio

    import psycopg

    from flower_engine.errors import StoreError
    from flower_engine.runtime.settings_loading import load_settings
    from flower_engine.store_faults import sentence_of

    try:
        asyncio.run(_migrate(load_settings(home=home), check=check))
    except (psycopg.Error, OSError) as error:
        raise StoreError(
            f"the tables are as they were, or in part up to date: {sentence_of(error)}"
        ) from error


async def _migrate(settings: "Settings", *, check: bool) -> None:
    from flower_cli.addresses import with_stores
    from flower_cli.commands.noted_commands import note_command
    from flower_cli.console import out
    from flower_engine.model.values.noun_counts import counted
    from flower_engine.projection.database import connect
    from flower_engine.projection.maintain.migrations import migrate as apply
    from flower_engine.projection.maintain.migrations import missing_migrations
    from flower_engine.runtime.store_checks import check_postgres

    url = settings.database_url or with_stores(settings).database_url
    assert url is not None
    async with await connect(url, "migration") as connection:
        await check_postgres(connection)
        if not check:
            applied = await apply(connection)
            if applied:
                await note_command(connection, "engine.migrated", migrations=len(applied), last=applied[-1])
            out.print(f"applied: {', '.join(applied)}" if applied else "the tables are up to date")
            return
        missing = await missing_migrations(connection)
    if missing == []:
        out.print("the tables are up to date")
        return
    out.print(
        "there are no tables yet" if missing is None else f"missing: {counted(len(missing), 'migration')}"
    )
    raise typer.Exit(_EXIT_MISSING)
