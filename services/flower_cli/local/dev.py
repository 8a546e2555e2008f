"""``flower dev``: an engine for the code that is being written; what changes is deployed, and runs."""

import contextlib
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flower_cli.console import err, fail, out
from flower_cli.options import HomeOption, PortOption

if TYPE_CHECKING:
    from flower_cli.local.dev_workers import DevWorkers
    from flower_engine.client import Client

_LOOK_MS = 200
_ENDINGS = (".py", ".json", ".yaml", ".yml")


def add_to(app: typer.Typer) -> None:
    app.command()(dev)


def dev(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A module, module:workflow, or a file with workflows"),
    ],
    programs: Annotated[
        list[str] | None, typer.Option("--programs", help="Module with programs that it needs; repeatable")
    ] = None,
    home: HomeOption = None,
    port: PortOption = None,
) -> None:
    """Run an engine for code that is being written: each change is deployed, and workers run it.

    The engine's data stays in its data folder. Where the code cannot be read it says why, and the code before
    goes on. Ctrl-C ends it; the commands (flower register, flower show last ...) find it from this folder.
    """
    from flower_cli.local.dev_workers import DevWorkers
    from flower_cli.local.own_engine import OwnEngine
    from flower_engine.client import Client
    from flower_engine.runtime.settings_loading import load_settings

    signal.signal(signal.SIGTERM, _end)  # so that what is open below is closed
    folder = load_settings(home=home).home
    err.print("starting an engine ...", style="dim")
    port_words = [] if port is None else ["--port", str(port)]
    with (
        OwnEngine.started("--workers", "0", *port_words, home=folder) as engine,
        Client(engine.url) as client,
        contextlib.ExitStack() as stack,
    ):
        workers = DevWorkers(engine.home.path, engine.home.log / "worker.log", engine.url)
        stack.callback(workers.stop)
        out.print(f"Flower is running on {engine.url}, data in {engine.home.path} (Ctrl-C stops it)")
        _Development(client, workers, target, programs or []).go_on(engine.check_alive)


class _Development:
    """What is deployed now, and what has changed since."""

    def __init__(self, client: "Client", workers: "DevWorkers", target: str, programs: Sequence[str]) -> None:
        self._client = client
        self._workers = workers
        self._target = target
        self._programs = programs

    def go_on(self, check: Any) -> None:
        """Deploys, and deploys again after each change, until it is interrupted."""
        from watchfiles import watch

        from flower_cli.local.task_watch import PrintedLines

        printed = PrintedLines(self._workers.log, err, is_prefixed=False)
        self.take_over()
        changes: Iterable[Any]
        for changes in watch(
            Path.cwd(), watch_filter=CodeFiles(), rust_timeout=_LOOK_MS, yield_on_timeout=True
        ):
            if changes:
                names = sorted({Path(path).name for _, path in changes})
                err.print(f"changed: {', '.join(names[:5])}", style="dim", markup=False)
                self.take_over()
            if said := self._workers.look_after():
                fail(said)
            printed.tell()
            check()

    def take_over(self) -> None:
        """The code as it is now, if it can be read: deployed, and run by a new worker."""
        from flower_cli.local.target_child import read_anew
        from flower_cli.workflow_targets import look_in
        from flower_engine.errors import FlowerError

        try:
            found = read_anew(self._target, self._programs)
            deployed = self._client.workflows.deploy(
                self._target, *found.documents, schedules=found.schedules, ahead=True
            )
        except FlowerError as error:
            fail(str(error))
            err.print("what was there before goes on; waiting for a change", style="dim")
            return
        look_in(Path(found.folder or Path.cwd()))
        words = [word for module in found.modules for word in ("--programs", module)]
        self._workers.replace([*words, *(word for name in found.queues for word in ("--queue", name))])
        told = ", ".join(f"{one.task_id} ({one.action})" for one in deployed.workflows)
        told += "".join(f", schedule {one.schedule} ({one.action})" for one in deployed.schedules)
        err.print(f"deployed {told}; a new worker runs the code", markup=False)


class CodeFiles:
    """Files with code or workflows; nothing in folders of tools or of Flower's own."""

    _passed_over = ("__pycache__", "node_modules", "site-packages")

    def __call__(self, _change: object, path: str) -> bool:
        inner = Path(path)
        with contextlib.suppress(ValueError):
            inner = inner.relative_to(Path.cwd())
        hidden = any(part.startswith(".") or part in self._passed_over for part in inner.parts)
        return inner.suffix in _ENDINGS and not hidden


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
