"""One service in this process, from its settings to its end. Without what reads a command line or prints in
colours: services start beside each other, and as often as one of them dies."""

import logging
import sys
from typing import TYPE_CHECKING, Any

from flower_cli.local.supervised import is_supervised
from flower_cli.reports import report_as_line
from flower_engine.runtime import env_file
from flower_engine.runtime.garbage import uncollected
from flower_engine.runtime.telemetry import configure_logging

if TYPE_CHECKING:
    from flower_engine.runtime.lifecycle import Last, Serve


def run_service(name: str, **flags: Any) -> None:
    """Runs the service until it is told to stop; ``flags`` that are not None override the environment.

    Raises:
        SystemExit: it failed, which has been reported.
        FlowerError: a setting is wrong, or the stores are not known.
    """
    with uncollected():
        from flower_cli.addresses import with_stores
        from flower_engine.runtime.lifecycle import run
        from flower_engine.runtime.settings_loading import load_settings, unknown_variables

        serve, last = imported(name)
    settings = load_settings(**flags)
    configure_logging(name, settings.log_level, form=settings.log_format)
    if not is_supervised():  # else the supervisor has said it for all
        for sentence in [*env_file.said(), *unknown_variables()]:
            logging.getLogger(__name__).warning(sentence)
    # Workers have no Postgres, so none need know its password.
    run(serve, with_stores(settings, needs_database=name != "worker"), report_as_line, last)


def imported(name: str) -> "tuple[Serve, Last | None]":
    """A service, with all that it needs, and the last act of its process; see ``lifecycle``."""
    match name:
        case "api":
            from flower_api.service import serve
        case "worker":
            sys.path.insert(0, "")  # people's modules are looked for in the current folder, too
            from flower_worker.service import WorkerService

            service = WorkerService()
            return service.serve, service.hand_back
        case "projector":
            from flower_projector.service import serve
        case "watcher":
            from flower_watcher.service import serve
        case _:
            raise ValueError(f"there is no service {name}")
    return serve, None
