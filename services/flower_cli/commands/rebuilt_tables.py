"""What ``flower replay`` and ``flower verify`` share: which flows, and the tables as their events say."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flower_engine.projection.database import Connection
    from flower_engine.projection.maintain.replay import Rebuilt, Replaying, Selection
    from flower_engine.runtime.settings import Settings

WorkflowOption = Annotated[str | None, typer.Option("--workflow", help="Only flows of this workflow.")]
SinceOption = Annotated[
    datetime | None, typer.Option("--since", help="Only flows registered at or after this time (UTC).")
]
UntilOption = Annotated[
    datetime | None, typer.Option("--until", help="Only flows registered before this time (UTC).")
]


_MOST_NAMED = 200


def run(
    work: Any,
    workflow: str | None,
    since: datetime | None,
    until: datetime | None,
    home: Any,
    log_level: str | None,
    *more: bool,
) -> bool:
    import asyncio

    import psycopg

    from flower_cli.addresses import with_stores
    from flower_engine.errors import StoreError
    from flower_engine.projection.maintain.replay import Selection
    from flower_engine.runtime.garbage import collect_rarely
    from flower_engine.runtime.settings_loading import load_settings
    from flower_engine.runtime.telemetry import configure_logging
    from flower_engine.store_faults import sentence_of

    chosen = Selection(workflow=workflow, since_ms=_ms(since, "--since"), until_ms=_ms(until, "--until"))
    collect_rarely()
    settings = with_stores(load_settings(home=home, log_level=log_level))
    configure_logging("replay", log_level or "WARNING", form=settings.log_format)
    try:
        return asyncio.run(work(settings, chosen, *more))
    except (psycopg.Error, OSError) as error:
        raise StoreError(f"{sentence_of(error)}; nothing was changed") from error


@contextlib.asynccontextmanager
async def built(
    settings: "Settings",
    chosen: "Selection",
    *,
    may_make: bool,
    at_one_moment: bool,
    is_thorough: bool = False,
) -> "AsyncGenerator[tuple[Connection, Replaying, Rebuilt]]":
    """The tables as the events say, in the connection's transaction; live ones that are missing are made.
    ``at_one_moment``: see ``rebuild_tables``."""
    from flower_cli.console import out
    from flower_cli.progress import Bars
    from flower_engine.projection.database import connect
    from flower_engine.projection.maintain.migrations import refuse_newer_tables
    from flower_engine.projection.maintain.replay import rebuild_tables

    assert settings.database_url is not None
    async with (
        await connect(settings.database_url, "replay") as connection,
        await connect(settings.database_url, "replay reader") as reader,
        contextlib.AsyncExitStack() as stack,
    ):
        await refuse_newer_tables(connection)
        await _make_missing(connection, may_make=may_make and chosen.is_whole)
        with Bars(out) as bars:
            replaying, rebuilt = await stack.enter_async_context(
                rebuild_tables(
                    connection,
                    reader,
                    chosen,
                    bars.tell,
                    at_one_moment=at_one_moment,
                    is_thorough=is_thorough,
                )
            )
        yield connection, replaying, rebuilt


async def _make_missing(connection: "Connection", *, may_make: bool) -> None:
    from flower_cli.console import out
    from flower_engine.errors import StoreError
    from flower_engine.projection.maintain.recovery_records import try_to_be_the_one
    from flower_engine.projection.maintain.remade_tables import missing_tables, remake_tables
    from flower_engine.projection.maintain.replay import TABLES
    from flower_engine.projection.write.projected_positions import read_positions

    missing = await missing_tables(connection, TABLES)
    if not missing:
        return
    names = " and ".join(missing)
    if not may_make:
        raise StoreError(f"Postgres has no table {names}: flower replay, without a selection, makes it anew")
    # A recovery of Redis asks these tables which flows are open: until they are filled, there must be none.
    # The locks are held as long as the connection lasts.
    for row in await read_positions(connection):
        if not await try_to_be_the_one(connection, row.partition):
            raise StoreError(f"partition {row.partition} is being recovered: replay when that is done")
    await remake_tables(connection, missing)
    out.print(f"made anew: {names}", markup=False, highlight=False)


def say_left_out(rebuilt: "Rebuilt") -> None:
    from flower_cli.console import out

    damaged = list(rebuilt.damaged.items())
    for flow, sentence in damaged[:_MOST_NAMED]:
        rows = "; its rows were left as they are" if flow in rebuilt.unbuilt else ""
        out.print(sentence + rows, markup=False, highlight=False, soft_wrap=True)
    if len(damaged) > _MOST_NAMED:
        more = len(damaged) - _MOST_NAMED
        out.print(f"... and {more:,} more flows whose history is damaged", markup=False, highlight=False)
    for flows, why in (
        (rebuilt.refused, "have a value that the tables refuse; their rows were left as they are"),
        (
            rebuilt.headless,
            "have events but no registration in the archive; their rows were left as they are",
        ),
    ):
        if flows:
            out.print(f"{len(flows):,} flows {why}: {', '.join(flows[:5])}", markup=False, highlight=False)


def _ms(moment: datetime | None, flag: str) -> int | None:
    from datetime import UTC

    from flower_engine.model.values.times import BOUNDS, is_time

    if moment is None:
        return None
    ms = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    if not is_time(ms):
        raise typer.BadParameter(f"times are from {BOUNDS}, in UTC", param_hint=flag)
    return ms
