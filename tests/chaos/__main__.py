"""``make chaos``: a storm of two minutes, or as long as you say; its seed is printed, and may be given."""

import random
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos.nodes import Deployment
from chaos.running import run

out = Console(highlight=False)


def main(
    seconds: Annotated[float, typer.Option(help="How long the storm lasts")] = 120.0,
    seed: Annotated[int | None, typer.Option(help="Chooses what is done to whom; else any")] = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="Redis is a cluster of 3 + 3 nodes")] = False,
    sentinel: Annotated[
        bool, typer.Option("--sentinel", help="Redis is a pair that three sentinels watch")
    ] = False,
) -> None:
    """Kill, stop and cut off whatever there is, while flows run; then check every invariant."""
    seed = random.randrange(10**9) if seed is None else seed
    if cluster and sentinel:
        raise typer.BadParameter("--cluster and --sentinel exclude each other")
    deployment: Deployment = "cluster" if cluster else "sentinel" if sentinel else "single"
    out.print(f"seed {seed}: a storm of {seconds:g} s, {deployment}")
    began = time.monotonic()

    def say(what: str) -> None:
        out.print(f"{time.monotonic() - began:7.1f} s  {what}")

    with tempfile.TemporaryDirectory(prefix="flower-chaos-") as folder:
        outcome = run(Path(folder), seconds, seed, say, deployment=deployment)
    for harm, count in sorted(outcome.harms.items()):
        out.print(f"{count:5}  {harm}")
    out.print(
        f"{outcome.flows} flows, {outcome.operations} operations, {sum(outcome.harms.values())} harms; all"
        f" flows had ended {outcome.ended_seconds:.1f} s after the storm"
    )
    if deployment != "single":
        ready = sorted(outcome.ready_seconds) or [0.0]
        out.print(
            f"{outcome.flows} registrations acknowledged, {outcome.replicated} of them as replicated; lost:"
            f" {outcome.lost} of the others; ready again after {ready[len(ready) // 2]:.1f} s (median of"
            f" {len(outcome.ready_seconds)}), {ready[-1]:.1f} s at most"
        )
    for problem in outcome.problems[:50]:
        out.print(problem, style="red", markup=False)
    if outcome.problems:
        raise typer.Exit(1)
    out.print("every invariant holds", style="green")


typer.run(main)
