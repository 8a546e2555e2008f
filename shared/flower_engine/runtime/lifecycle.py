"""Runs a service until it is told to stop: its event loop, how it ends, and with which exit code."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable

import uvloop

from flower_engine.errors import FlowerError
from flower_engine.runtime.exit_deadline import ExitDeadline, end_now, within
from flower_engine.runtime.process_forks import set_copies_apart
from flower_engine.runtime.settings import Settings

_log = logging.getLogger(__name__)

Serve = Callable[[Settings, asyncio.Event], Awaitable[None]]
"""A service: runs until the event is set, then ends cleanly; FlowerError for what waiting does not heal."""

Report = Callable[[FlowerError], int]
"""Says an error to people; returns the exit code that goes with it."""

Last = Callable[[], bool]
"""The last act of a service that ends: hands back what it would leave behind; whether there was anything, so
that the process has to be gone at once. It blocks, may be called from any thread, also twice, and never
raises."""

_END_SECONDS = 20.0
_LAST_SECONDS = 5.0


def _report_in_log(error: FlowerError) -> int:
    _log.error("%s", error)
    return 1


def run(serve: Serve, settings: Settings, report: Report = _report_in_log, last: Last | None = None) -> None:
    """Run a service on uvloop until it returns; the process is to end after that.

    SIGTERM, SIGINT and SIGHUP ask it to stop; a second one ends the process at once. So does the end of its
    time: 20 s after the grace time that begins with the signal, or 20 s after the service itself has ended,
    for whatever of its programs is still there then. Nothing may hang for ever. ``last`` is called before the
    process ends, however it does.

    Raises:
        SystemExit: the service failed, which has been reported.
    """
    deadline = ExitDeadline(last)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        failed = runner.run(_serve_until_signalled(serve, settings, report, deadline, last))
    if failed:
        sys.exit(failed)


async def _serve_until_signalled(
    serve: Serve, settings: Settings, report: Report, deadline: ExitDeadline, last: Last | None
) -> int:
    """The exit code. What is wrong is said here, before the tasks that are left over are waited for."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> float:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is ending already
            loop.call_soon_threadsafe(stop.set)
        return settings.grace_seconds + _END_SECONDS

    set_copies_apart(loop)
    deadline.start(on_signal)
    code = 1
    try:
        await serve(settings, stop)
        code = 0
    except FlowerError as error:
        code = report(error)
    except Exception:  # noqa: BLE001 # logged as Python would, but before anything can hang
        _log.exception("the service failed")
    finally:
        deadline.set(_END_SECONDS, code)
        # Here, so that nothing else of the event loop runs meanwhile.
        if last is not None and within(_LAST_SECONDS, last) is not False:
            end_now(code)
    return code
