"""Threads that a program starts, itself or in a ``ThreadPoolExecutor``, write to the log of its attempt."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from flower_engine.runtime.telemetry import attempt_at_work
from flower_worker.task_logs.attempt_log import AttemptLog, log_at_work


class CarriedThreads:
    """Tells new threads and jobs of pools whose they are, while it is installed."""

    def __init__(self) -> None:
        self._start = threading.Thread.start
        self._submit = ThreadPoolExecutor.submit

    def install(self) -> None:
        start = self._start = threading.Thread.start
        submit = self._submit = ThreadPoolExecutor.submit

        def start_carried(thread: threading.Thread) -> None:
            log = log_at_work.get()
            if log is None:
                start(thread)
                return
            run = _carried(log, thread.run)

            def run_carried() -> None:
                thread.__dict__.pop("run", None)  # else the thread would lead to itself
                run()

            thread.run = run_carried
            try:
                start(thread)
            except BaseException:
                thread.__dict__.pop("run", None)
                raise

        def submit_carried(pool: Any, fn: Callable[..., Any], /, *given: Any, **named: Any) -> "Future[Any]":
            log = log_at_work.get()
            if log is None:
                return submit(pool, fn, *given, **named)
            job = _carried(log, fn)
            # A thread of the pool that is made now is not the attempt's alone.
            now = log_at_work.set(None)
            try:
                return submit(pool, job, *given, **named)
            finally:
                log_at_work.reset(now)

        self._start_carried, self._submit_carried = start_carried, submit_carried
        threading.Thread.start = start_carried  # pyright: ignore[reportAttributeAccessIssue] # its name of self
        ThreadPoolExecutor.submit = submit_carried

    def uninstall(self) -> None:
        """What others have put in the place of it meanwhile stays."""
        if threading.Thread.start is self._start_carried:
            threading.Thread.start = self._start
        if ThreadPoolExecutor.submit is self._submit_carried:
            ThreadPoolExecutor.submit = self._submit


def _carried(log: AttemptLog, call: Callable[..., Any]) -> Callable[..., Any]:
    attempt = attempt_at_work.get(None)

    def carried(*given: Any, **named: Any) -> Any:
        at_work, logging_to = attempt_at_work.set(attempt), log_at_work.set(log)
        try:
            return call(*given, **named)
        finally:
            log_at_work.reset(logging_to)
            attempt_at_work.reset(at_work)

    return carried
