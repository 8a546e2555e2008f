"""``make chaos``: a storm of two minutes, or as long as you say; its seed is printed, and may be given."""

import random
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos.running import run

out = Console(highlight=False)


def main(
    seconds: Annotated[float, typer.Option(help="How long the storm lasts")] = 120.0,
    seed: Annotated[int | None, typer.Option(help="Chooses what is done to whom; else any")] = None,
) -> None:
    """Kill, stop and cut off whatever there is, while flows run; then check every invariant."""
    seed = random.randrange(10**9) if seed is None else seed
    out.print(f"seed {seed}: a storm of {seconds:g} s")
    began = time.monotonic()

    def say(what: str) -> None:
        out.print(f"{time.monotonic() - began:7.1f} s  {what}")

    with tempfile.TemporaryDirectory(prefix="flower-chaos-") as folder:
        outcome = run(Path(folder), seconds, seed, say)
    for harm, count in sorted(outcome.harms.items()):
        out.print(f"{count:5}  {harm}")
    out.print(
        f"{outcome.flows} flows, {outcome.operations} operations, {sum(outcome.harms.values())} harms; all"
        f" flows had ended {outcome.ended_seconds:.1f} s after the storm"
    )
    for problem in outcome.problems[:50]:
        out.print(problem, style="red", markup=False)
    if outcome.problems:
        raise typer.Exit(1)
    out.print("every invariant holds", style="green")


typer.run(main)
