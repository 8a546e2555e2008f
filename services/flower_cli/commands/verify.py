"""``flower verify``: the tables, and Redis, beside what the events say that they must hold."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from flower_cli.commands.rebuilt_tables import (
    SinceOption,
    UntilOption,
    WorkflowOption,
    built,
    run,
    say_left_out,
)
from flower_cli.options import HomeOption, LogLevelOption

if TYPE_CHECKING:
    from collections.abc import Collection

    from flower_engine.log.client import AsyncRedis
    from flower_engine.projection.database import Connection
    from flower_engine.projection.maintain.replay import Selection
    from flower_engine.projection.maintain.table_comparison import Difference
    from flower_engine.runtime.settings import Settings

_MOST_SHOWN = 200
_MOST_EVENTS = 4
_FLOW = re.compile(r"flow ([0-9a-f-]{36})(?: task (\d+))?")


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Recovery")(verify)


def verify(
    workflow: WorkflowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Put right what differs: the tables row by row, Redis as a whole."),
    ] = False,
    home: HomeOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Compare the tables of flows and tasks, and Redis, with the events, while the engine runs.

    Prints each field that differs, with both values and the events that decide it. Exit code 1 where
    anything differs, also where --repair put it right. A history whose events do not follow from each
    other is named; nothing repairs it. Redis is compared where no selection is given: flows under way,
    lanes, leases, timers and counters; limits, pauses, weights and strikes beside their tables. To repair
    Redis is to make all of it anew from the events; tasks that run then get a new attempt.
    """
    differs = run(_verify, workflow, since, until, home, log_level, repair)
    if differs:
        raise typer.Exit(1)


async def _verify(settings: "Settings", chosen: "Selection", repair: bool) -> bool:
    from flower_engine.projection.maintain.table_comparison import find_differences, swap_in

    await _refuse_during_a_recovery(settings)
    count = 0
    shown: list[Difference] = []
    async with built(settings, chosen, may_make=repair, at_one_moment=True, is_thorough=True) as (
        connection,
        _,
        rebuilt,
    ):
        async for difference in find_differences(connection, rebuilt, chosen):
            count += 1
            if len(shown) < _MOST_SHOWN:
                shown.append(difference)
        for difference in shown:
            await _show(connection, difference)
        if count > len(shown):
            _say(f"... and {count - len(shown):,} more")
    if repair and count:
        async with built(settings, chosen, may_make=False, at_one_moment=False) as (
            connection,
            replaying,
            again,
        ):
            merged = await swap_in(connection, replaying, again, chosen)
        _say(f"repaired: {merged.written:,} rows written anew, {merged.removed:,} removed")
    _say(f"{rebuilt.events:,} events of {rebuilt.flows:,} flows: {count:,} differences")
    say_left_out(rebuilt)
    if rebuilt.damaged:
        _say(f"{len(rebuilt.damaged):,} histories are damaged")
    differs = count > 0 or bool(rebuilt.headless or rebuilt.damaged)
    differs = await _say_outdated(settings) or differs if chosen.is_whole else differs
    return await _verify_redis(settings, repair) or differs if chosen.is_whole else differs


async def _verify_redis(settings: "Settings", repair: bool) -> bool:
    """Whether Redis differs from its events, in any partition."""
    from redis.exceptions import RedisError

    from flower_cli.console import out
    from flower_cli.progress import Bars
    from flower_engine.errors import LostError, StoreError
    from flower_engine.log.client import connect, is_cluster
    from flower_engine.projection import database
    from flower_engine.projection.maintain.gaps import read_gaps
    from flower_engine.projection.write.projected_positions import read_positions
    from flower_engine.runtime.loss_recovery import rebuild
    from flower_engine.runtime.verify_redis import check_redis
    from flower_engine.store_faults import sentence_of

    assert settings.redis_url is not None
    assert settings.database_url is not None
    differs = False
    missing: list[int] = []
    try:
        async with (
            connect(settings.redis_url) as client,
            await database.connect(settings.database_url, "verify") as connection,
        ):
            for gap in await read_gaps(connection):
                _say(str(gap))
            for row in await read_positions(connection):
                try:
                    with Bars(out) as bars:
                        checked = await check_redis(client, connection, row, bars.tell)
                except (RedisError, OSError, LostError) as error:
                    if not is_cluster(client):
                        raise
                    _say(f"Redis, partition {row.partition} cannot be compared: {error}")
                    differs = True
                    missing.append(row.partition)
                    continue
                for sentence in checked.differences[:_MOST_SHOWN]:
                    await _show_sentence(connection, sentence)
                count = len(checked.differences)
                if count > _MOST_SHOWN:
                    _say(f"... and {count - _MOST_SHOWN:,} more")
                _say(
                    f"Redis, partition {row.partition} at {checked.position or 'its beginning'}:"
                    f" {checked.flows:,} flows under way, {count:,} differences"
                )
                if repair and checked.only_here:
                    _say(
                        f"not repaired: the history of {len(checked.only_here):,} flows under way is damaged:"
                        f" Redis would lose them ({', '.join(checked.only_here[:5])}). Cancel them first"
                    )
                elif repair and count > checked.damaged:
                    with Bars(out) as bars:
                        _say(f"repaired: {await rebuild(client, connection, settings, row, bars.tell)}")
                differs = differs or count > 0
            differs = await _verify_control(client, connection, repair, missing) or differs
    except (RedisError, OSError) as error:
        raise StoreError(sentence_of(error)) from error
    return differs


async def _verify_control(
    client: "AsyncRedis", connection: "Connection", repair: bool, missing: "Collection[int]"
) -> bool:
    """Whether Redis limits, pauses, weighs or strikes otherwise than the tables say, in any partition that is
    not ``missing``."""
    from flower_engine.log.partition import Partition
    from flower_engine.projection.definitions.flow_control_rows import read_controls
    from flower_engine.projection.write.projected_positions import read_positions
    from flower_engine.runtime.flow_control_sync import (
        control_differences,
        problems_of_controls,
        try_to_bring_control,
    )
    from flower_engine.runtime.lending import overdrawn

    rows = await read_positions(connection)
    partitions = [
        Partition(row.partition, row.installation, row.generation)
        for row in rows
        if row.partition not in missing
    ]
    controls = await read_controls(connection)
    for problem in problems_of_controls(controls, len(rows)):
        _say(problem)
    count = 0
    for partition in partitions:
        found = await control_differences(client, connection, partition, len(rows))
        for sentence in found:
            _say(f"partition {partition.number}: {sentence}")
        count += len(found)
    for sentence in await overdrawn(client, partitions, len(rows), controls.rows) if len(rows) > 1 else ():
        _say(sentence)
        count += 1
    _say(f"flow control: {count:,} differences")
    if count and repair and await try_to_bring_control(client, connection, partitions) is not None:
        _say("repaired: Redis holds what the tables of flow control say")
    return count > 0


async def _say_outdated(settings: "Settings") -> bool:
    """Whether flows are known by an older end only: their rows are as their events say, and yet not true."""
    from flower_engine.projection import database
    from flower_engine.projection.maintain.gaps import outdated_flows

    assert settings.database_url is not None
    async with await database.connect(settings.database_url, "verify") as connection:
        outdated, count = await outdated_flows(connection, _MOST_SHOWN)
    for one in outdated:
        _say(str(one))
    if count > len(outdated):
        _say(f"... and {count - len(outdated):,} more")
    return count > 0


async def _refuse_during_a_recovery(settings: "Settings") -> None:
    from redis.exceptions import RedisError

    from flower_engine.errors import LostError, StoreError
    from flower_engine.log.client import connect
    from flower_engine.log.each_partition import from_each
    from flower_engine.log.partition import Partition, read_meta
    from flower_engine.projection import database
    from flower_engine.projection.write.projected_positions import read_positions
    from flower_engine.runtime.redis_loss import why_not
    from flower_engine.store_faults import sentence_of

    assert settings.redis_url is not None
    assert settings.database_url is not None
    async with await database.connect(settings.database_url, "verify") as connection:
        rows = await read_positions(connection)
    asked = [Partition(row.partition, row.installation, row.generation) for row in rows]
    try:
        async with connect(settings.redis_url) as client:
            told = await from_each(client, asked, lambda one: read_meta(client, one.number))
            for number, meta in told.found.items():
                if meta is not None and meta.recovering and not meta.generation:
                    raise LostError(f"{why_not(number, meta)}: verify when that is done")
    except (RedisError, OSError) as error:
        raise StoreError(sentence_of(error)) from error


async def _show(connection: "Connection", difference: "Difference") -> None:
    if difference.schedule:
        _say(
            f"schedule {difference.schedule}: {difference.field} is {difference.held!r},"
            f" its events say {difference.told!r}"
        )
        return
    tasks = None if difference.task is None else [difference.task]
    task = "" if difference.task is None else f" task {difference.task}"
    _say(
        f"flow {difference.flow}{task}: {difference.field} is {difference.held!r},"
        f" its events say {difference.told!r}"
        f" ({await _deciding(connection, difference.flow, tasks) or 'no events'})"
    )


async def _deciding(connection: "Connection", flow: str, tasks: list[int] | None) -> str:
    """The last events that decide how a flow or task stands, as far as they are archived."""
    from flower_engine.projection.archive.archived_events import history
    from flower_engine.projection.archive.refused_events import flow_and_type

    events = (await history(connection, flow, tasks))[-_MOST_EVENTS:]
    return ", ".join(f"{event.position} {flow_and_type(event.raw)[1]}" for event in events)


async def _show_sentence(connection: "Connection", sentence: str) -> None:
    named = _FLOW.search(sentence)
    events = ""
    if named:
        events = await _deciding(connection, named[1], [int(named[2])] if named[2] else None)
    _say(f"{sentence}{f' ({events})' if events else ''}")


def _say(text: str) -> None:
    from flower_cli.console import out

    out.print(text, markup=False, highlight=False, soft_wrap=True)
