"""Runs a service until it is told to stop: event loop, signals, and an end that comes in any case."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from functools import partial

import uvloop

from flower_engine.runtime.settings import Settings

_log = logging.getLogger(__name__)

Serve = Callable[[Settings, asyncio.Event], Awaitable[None]]
"""A service: runs until the event is set, then ends cleanly; FlowerError for what waiting does not heal."""

_END_SECONDS = 20.0


def run(serve: Serve, settings: Settings) -> None:
    """Run a service on uvloop until it returns.

    SIGTERM, SIGINT and SIGHUP ask it to stop; a second one ends the process at once. A service that has not
    returned 20 s after its grace time is ended as well: nothing may hang for ever.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_until_signalled(serve, settings))


async def _serve_until_signalled(serve: Serve, settings: Settings) -> None:
    stop = asyncio.Event()
    limit = threading.Timer(settings.grace_seconds + _END_SECONDS, _force, [1, "it did not end in time"])
    limit.daemon = True
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            _force(128 + number, f"{number.name} again")
        _log.info("stopping (%s)", number.name)
        stop.set()
        limit.start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, partial(on_signal, number))
    try:
        await serve(settings, stop)
    finally:
        limit.cancel()


def _force(code: int, why: str) -> None:
    _log.error("ending at once: %s", why)
    logging.shutdown()
    os._exit(code)
