"""``flower bench``: measures and writes a dated file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flower_cli.options import HomeOption, finite

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from flower_bench.deployment import Deployment
    from flower_bench.figures import Outcome
    from flower_bench.suite import Suite
    from flower_engine.runtime.settings import Settings

_QUICK_SECONDS = 2.0
_OF_A_PLACE = {"home", "host", "port", "redis_url", "database_url", "api_tokens"}
"""Settings that an engine of the bench's own does not take over."""


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Measuring")(bench)


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Workload to run, see --list; repeatable [all but slow]"),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Name the workloads; measure nothing")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.5, callback=finite, help="How long each steady load lasts")
    ] = 60.0,
    rate: Annotated[
        float | None,
        typer.Option(min=1, callback=finite, help="The capacity in tasks/s, instead of measuring it"),
    ] = None,
    shapes: Annotated[
        list[Path] | None, typer.Option("--shapes", help="File with a DAG, see docs/cli.md; repeatable")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder for the result")] = Path("benchmarks/results"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Small workloads, to see that all of it works")
    ] = False,
    api: Annotated[
        str | None, typer.Option("--api", help="A running deployment to measure [an engine of its own]")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Measure an engine of its own, or a running deployment, against a floor of the same run.

    A running deployment is named by --api, FLOWER_REDIS_URL and FLOWER_DATABASE_URL (or by --api and the
    data folder of a 'flower up' on this machine); its workers must be running.
    """
    from flower_bench.catalogue import WORKLOADS, choose
    from flower_bench.environment import describe_environment
    from flower_bench.progress import Progress
    from flower_bench.run import Plan
    from flower_bench.suite import Suite
    from flower_bench.workloads.shapes import read_shape
    from flower_cli.console import out
    from flower_engine.runtime.settings_loading import load_settings

    if list_them:
        for workload in WORKLOADS:
            out.print(f"{workload.name:<14} {workload.about}", markup=False)
        return
    chosen = choose(only or (), has_rate=rate is not None)
    for file in shapes or ():
        read_shape(file)  # a wrong one is said now, not after half an hour
    if quick:
        seconds = min(seconds, _QUICK_SECONDS)
    plan = Plan(is_quick=quick, seconds=seconds, rate=rate, shapes=tuple(shapes or ()))
    settings = load_settings(home=home)
    _prepare(results)
    make = _maker(api, settings)
    environment = describe_environment() | _describe(api, settings)
    with Progress(out) as progress:
        suite = Suite(chosen, plan, make, progress, _tell)
        was_stopped = _run(suite)
    if quick:
        environment["size"] = "quick: too small to say how fast it is"
    _report(suite, environment, results)
    if was_stopped:
        raise typer.Exit(130)
    if any(outcome.error for outcome in suite.outcomes):
        raise typer.Exit(1)


def _prepare(results: Path) -> None:
    from flower_engine.errors import SettingsError

    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"--results: {results} cannot be made ({error.strerror}): name another"
        ) from error


def _describe(api: str | None, settings: "Settings") -> dict[str, str]:
    if api is not None:
        return {"deployment": api, "settings": "those that its services were started with"}
    changed = [f"{name}={text}" for name, text in _kept(settings).items()]
    return {
        "deployment": "an engine of its own for each workload: embedded stores, one worker",
        "settings": ", ".join(changed) or "all as they are by default",
    }


def _kept(settings: "Settings") -> dict[str, str]:
    """The variables that were set, but for those of a place; metrics are told at any free ports."""
    from flower_engine.runtime.settings import variable

    places = {variable(field) for field in _OF_A_PLACE}
    kept = {name: text for name, text in settings.as_environment().items() if name not in places}
    return kept | ({} if settings.metrics_port is None else {"FLOWER_METRICS_PORT": "0"})


def _maker(api: str | None, settings: "Settings") -> "Callable[[], AbstractAsyncContextManager[Deployment]]":
    from flower_bench.running_deployment import RunningDeployment
    from flower_cli.addresses import with_stores
    from flower_cli.local.throwaway_deployment import OwnDeployment
    from flower_engine.errors import SettingsError
    from flower_engine.secret_files import own_token

    if api is None:
        if settings.redis_url or settings.database_url:
            raise SettingsError(
                "FLOWER_REDIS_URL or FLOWER_DATABASE_URL is set: name the API of that deployment with --api,"
                " or unset them to measure an engine of the bench's own"
            )
        kept = _kept(settings)
        return lambda: OwnDeployment.started(**kept)
    if not api.startswith("http://"):
        raise SettingsError(f"--api {api}: it should begin with http://, which is what the load is sent over")
    stores = with_stores(settings)
    redis_url, database_url, token = stores.redis_url, stores.database_url, own_token()
    assert redis_url and database_url
    return lambda: RunningDeployment.joined(api, redis_url, database_url, token)


def _run(suite: "Suite") -> bool:
    """Runs it; whether Ctrl-C (or SIGTERM) ended it early."""
    import asyncio
    import signal

    import uvloop

    from flower_engine.runtime.asyncio_tasks import unless_stopped

    async def run() -> bool:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await unless_stopped(stop, suite.run())
        return stop.is_set()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def _tell(outcome: "Outcome") -> None:
    from flower_cli.console import out

    took = f"{outcome.workload}: {outcome.seconds:.0f} s"
    out.print(f"{took}, FAILED: {outcome.error}" if outcome.error else took, markup=False)
    for figure in outcome.figures:
        out.print(f"    {figure.what}: {figure.value:,.2f} {figure.unit}", markup=False)


def _report(suite: "Suite", environment: dict[str, str], results: Path) -> None:
    import datetime

    from flower_bench.report import Report
    from flower_cli.console import out

    now = datetime.datetime.now(tz=datetime.UTC)
    report = Report(environment | suite.stores, suite.outcomes)
    report.show(out)
    file = results / f"{now:%Y-%m-%d-%H%M%S}-bench.md"
    file.write_text(report.markdown())
    out.print(f"written to {file}", markup=False)
