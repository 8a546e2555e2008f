"""``flower prune``: flows that ended long ago go, with their events."""

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flower_cli.options import HomeOption, LogLevelOption

if TYPE_CHECKING:
    from flower_engine.projection.database import Connection
    from flower_engine.runtime.settings import Settings

_DAYS = re.compile(r"(\d{1,5})d")


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Recovery")(prune)


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", help="Days, as 30d: flows that ended earlier go")
    ],
    export: Annotated[
        Path | None,
        typer.Option("--export", help="Folder for files (JSON lines) of the days, written before they go"),
    ] = None,
    home: HomeOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Remove flows that ended before a day, with their rows and events, while the engine runs.

    Days of the archive are dropped whole. What must stay of them, as events of flows that are open or ended
    later, is kept. What the flows' tasks wrote goes with them. Idempotency keys of flows that went are free
    again. Blobs go that no flow uses and nobody touched for 7 days.
    """
    import asyncio

    import psycopg
    from redis.exceptions import RedisError

    from flower_cli.addresses import with_stores
    from flower_engine.errors import SettingsError, StoreError
    from flower_engine.runtime.settings_loading import load_settings
    from flower_engine.runtime.telemetry import configure_logging
    from flower_engine.store_faults import sentence_of

    days = _DAYS.fullmatch(older_than)
    if days is None or int(days[1]) < 1:
        raise SettingsError(f"--older-than {older_than}: give whole days, 1d at least, as 30d")
    settings = with_stores(load_settings(home=home, log_level=log_level))
    configure_logging("prune", log_level or "WARNING", form=settings.log_format)
    try:
        if export is not None:
            export.mkdir(parents=True, exist_ok=True)
        asyncio.run(_prune(settings, int(days[1]), export))
    except (psycopg.Error, RedisError, OSError) as error:
        raise StoreError(f"nothing has gone: {sentence_of(error)}") from error


async def _prune(settings: "Settings", days: int, folder: Path | None) -> None:
    from flower_cli.commands.noted_commands import note_command
    from flower_cli.console import out
    from flower_engine.errors import BlobStoreError, StoreError
    from flower_engine.log.client import connect
    from flower_engine.projection import database
    from flower_engine.runtime.blob_retention import prune_blobs, stores_at_urls
    from flower_engine.runtime.retention import DAY_SECONDS, prune_older
    from flower_engine.runtime.task_log_store import prune_lines

    assert settings.redis_url is not None
    assert settings.database_url is not None
    async with (
        connect(settings.redis_url) as client,
        await database.connect(settings.database_url, "prune") as connection,
    ):
        export = None if folder is None else functools.partial(_export, connection, folder)
        await note_command(connection, "engine.pruned", older_than_days=days)
        pruned = await prune_older(client, connection, days * DAY_SECONDS, export)
        if pruned is None:
            raise StoreError("another prune is at work; try again when it is done")
        blobs = await prune_blobs(client, connection, stores_at_urls(settings.blobs))
        try:
            await prune_lines(connection, settings.task_log_store)
        except BlobStoreError as error:
            blobs.problems.append(str(error))
    out.print(
        f"{pruned.flows:,} flows and {pruned.events:,} events went, {len(pruned.days)} days were dropped;"
        f" {pruned.kept:,} events of these days stay; {pruned.chunks:,} chunks of task logs and"
        f" {blobs.count:,} blobs of {blobs.size:,} bytes went",
        markup=False,
        highlight=False,
    )
    if blobs.problems:
        raise StoreError(f"blobs of a store were not pruned: {'; '.join(blobs.problems)}")


async def _export(connection: "Connection", folder: Path, before_ms: int) -> None:
    """Writes a file for each day; files that are there already stay as they are."""
    import msgspec

    from flower_cli.console import out
    from flower_cli.progress import Bars
    from flower_engine.projection.archive.archive_days import table_of_day
    from flower_engine.projection.maintain.pruning import events_of_day, old_days

    encode = msgspec.json.Encoder().encode  # bytes that are no JSON become base64
    with Bars(out) as bars:
        for day in await old_days(connection, before_ms=before_ms):
            path, count = _free_name(folder, table_of_day(day)), 0
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as file:
                async for entry in events_of_day(connection, day):
                    file.write(encode(entry) + b"\n")
                    count += 1
                    if count % 1_000 == 0:
                        bars.tell(f"events to {path.name}", count, 0)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
            bars.tell(f"events to {path.name}", count, count)


def _free_name(folder: Path, table: str) -> Path:
    """A later export of a day holds what had to stay of it: it must not take the place of the first."""
    path, number = folder / f"{table}.jsonl", 1
    while path.exists():
        number += 1
        path = folder / f"{table}.{number}.jsonl"
    return path
