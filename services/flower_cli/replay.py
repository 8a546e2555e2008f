"""``flower replay`` and ``flower verify``: the tables beside what the archived events say they must hold."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flower_cli.options import HomeOption, LogLevelOption

if TYPE_CHECKING:
    from flower_engine.projection.comparing import Difference
    from flower_engine.projection.database import Connection
    from flower_engine.projection.replaying import Rebuilt, Replaying, Selection
    from flower_engine.runtime.settings import Settings

_MOST_SHOWN = 200
_MOST_EVENTS = 4

WorkflowOption = Annotated[str | None, typer.Option("--workflow", help="Only flows of this workflow.")]
SinceOption = Annotated[
    datetime | None, typer.Option("--since", help="Only flows registered at or after this time (UTC).")
]
UntilOption = Annotated[
    datetime | None, typer.Option("--until", help="Only flows registered before this time (UTC).")
]


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Recovery")(replay)
    app.command(rich_help_panel="Recovery")(verify)


def replay(
    workflow: WorkflowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    home: HomeOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Rebuild the tables of flows and tasks from the archived events, while the engine runs.

    They are built beside the live tables and put in their place in one transaction: who reads is not kept
    waiting, and what is right already stays untouched. Killed half way, nothing has changed.
    """
    _run(_replay, workflow, since, until, home, log_level)


def verify(
    workflow: WorkflowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what the events say where the tables differ.")
    ] = False,
    home: HomeOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Compare every row of the tables of flows and tasks with the archived events, while the engine runs.

    Prints each field that differs, with both values and the events that decide it. Exit code 1 where
    anything differs, also where --repair put it right.
    """
    differs = _run(_verify, workflow, since, until, home, log_level, repair)
    if differs:
        raise typer.Exit(1)


def _run(
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
    from flower_engine.projection.replaying import Selection
    from flower_engine.runtime.settings import load_settings
    from flower_engine.runtime.telemetry import configure_logging

    settings = with_stores(load_settings(home=home, log_level=log_level))
    configure_logging("replay", log_level or "WARNING")
    chosen = Selection(workflow=workflow, since_ms=_ms(since), until_ms=_ms(until))
    try:
        return asyncio.run(work(settings, chosen, *more))
    except (psycopg.Error, OSError) as error:
        raise StoreError(
            f"Postgres does not answer as it should ({' '.join(str(error).split())}); nothing was changed"
        ) from error


async def _replay(settings: "Settings", chosen: "Selection") -> bool:
    import time

    from flower_cli.console import out
    from flower_engine.projection.comparing import swap_in

    began = time.monotonic()
    async with _built(settings, chosen) as (connection, replaying, rebuilt):
        merged = await swap_in(connection, replaying, rebuilt, chosen)
    seconds = time.monotonic() - began
    out.print(
        f"replayed {rebuilt.events:,} events of {rebuilt.flows:,} flows in {seconds:.1f} s:"
        f" {merged.written:,} rows written anew, {merged.removed:,} removed, the rest was right",
        markup=False,
        highlight=False,
    )
    _say_left_out(rebuilt)
    return False


async def _verify(settings: "Settings", chosen: "Selection", repair: bool) -> bool:
    from flower_cli.console import out
    from flower_engine.projection.comparing import find_differences, swap_in

    await _refuse_during_a_recovery(settings)
    count = 0
    shown: list[Difference] = []
    async with _built(settings, chosen) as (connection, replaying, rebuilt):
        async for difference in find_differences(connection, replaying, rebuilt, chosen):
            count += 1
            if len(shown) < _MOST_SHOWN:
                shown.append(difference)
        for difference in shown:
            await _show(connection, difference)
        if count > len(shown):
            out.print(f"... and {count - len(shown):,} more", markup=False, highlight=False)
        if repair and count:
            merged = await swap_in(connection, replaying, rebuilt, chosen)
            out.print(
                f"repaired: {merged.written:,} rows written anew, {merged.removed:,} removed",
                markup=False,
                highlight=False,
            )
    out.print(
        f"{rebuilt.events:,} events of {rebuilt.flows:,} flows: {count:,} differences",
        markup=False,
        highlight=False,
    )
    _say_left_out(rebuilt)
    return count > 0 or bool(rebuilt.headless)


async def _refuse_during_a_recovery(settings: "Settings") -> None:
    from redis.exceptions import RedisError

    from flower_engine.errors import LostError, StoreError
    from flower_engine.log.client import connect
    from flower_engine.log.partition import read_meta
    from flower_engine.projection import database
    from flower_engine.projection.positions import read_positions
    from flower_engine.runtime.losses import why_not

    assert settings.redis_url is not None
    assert settings.database_url is not None
    async with await database.connect(settings.database_url, "verify") as connection:
        numbers = [row.partition for row in await read_positions(connection)]
    try:
        async with connect(settings.redis_url) as client:
            for number in numbers:
                meta = await read_meta(client, number)
                if meta is not None and meta.recovering and not meta.generation:
                    raise LostError(f"{why_not(number, meta)}: verify when that is done")
    except (RedisError, OSError) as error:
        raise StoreError(f"Redis does not answer ({' '.join(str(error).split())})") from error


@contextlib.asynccontextmanager
async def _built(
    settings: "Settings", chosen: "Selection"
) -> "AsyncGenerator[tuple[Connection, Replaying, Rebuilt]]":
    """The tables as the events say, in the session of the connection."""
    from flower_cli.console import out
    from flower_cli.progress import Bars
    from flower_engine.projection.database import connect
    from flower_engine.projection.replaying import Replaying

    assert settings.database_url is not None
    async with (
        await connect(settings.database_url, "replay") as connection,
        await connect(settings.database_url, "replay reader") as reader,
    ):
        with Bars(out) as bars:
            replaying = Replaying(connection, reader, chosen, bars.tell)
            rebuilt = await replaying.build()
        yield connection, replaying, rebuilt


async def _show(connection: "Connection", difference: "Difference") -> None:
    from flower_cli.console import out
    from flower_engine.projection.archive import history
    from flower_engine.projection.refused import flow_and_type

    tasks = None if difference.task is None else [difference.task]
    events = (await history(connection, difference.flow, tasks))[-_MOST_EVENTS:]
    named = ", ".join(f"{event.position} {flow_and_type(event.raw)[1]}" for event in events)
    task = "" if difference.task is None else f" task {difference.task}"
    out.print(
        f"flow {difference.flow}{task}: {difference.field} is {difference.held!r},"
        f" its events say {difference.told!r} ({named or 'no events'})",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _say_left_out(rebuilt: "Rebuilt") -> None:
    from flower_cli.console import out

    for flows, why in (
        (rebuilt.refused, "have a value that the tables refuse; their rows were left as they are"),
        (
            rebuilt.headless,
            "have events but no registration in the archive; their rows were left as they are",
        ),
    ):
        if flows:
            out.print(f"{len(flows):,} flows {why}: {', '.join(flows[:5])}", markup=False, highlight=False)


def _ms(moment: datetime | None) -> int | None:
    from datetime import UTC

    return None if moment is None else int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
