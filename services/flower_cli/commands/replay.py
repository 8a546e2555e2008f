"""``flower replay``: the tables rebuilt from the archived events."""

from typing import TYPE_CHECKING, Any

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
    from flower_engine.projection.maintain.replay import Selection
    from flower_engine.runtime.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Recovery")(replay)


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
    run(_replay, workflow, since, until, home, log_level)


async def _replay(settings: "Settings", chosen: "Selection") -> bool:
    import time

    from flower_cli.commands.noted_commands import note_command
    from flower_cli.console import out
    from flower_engine.projection.maintain.table_comparison import swap_in

    began = time.monotonic()
    async with built(settings, chosen, may_make=True, at_one_moment=False) as (
        connection,
        replaying,
        rebuilt,
    ):
        merged = await swap_in(connection, replaying, rebuilt, chosen)
        counts = (rebuilt.events, merged.written, merged.removed)
        said: dict[str, Any] = dict(zip(("events", "written", "removed"), counts, strict=True))
        await note_command(connection, "engine.replayed", **said)
    seconds = time.monotonic() - began
    out.print(
        f"replayed {rebuilt.events:,} events of {rebuilt.flows:,} flows in {seconds:.1f} s:"
        f" {merged.written:,} rows written anew, {merged.removed:,} removed, the rest was right",
        markup=False,
        highlight=False,
    )
    say_left_out(rebuilt)
    return False
