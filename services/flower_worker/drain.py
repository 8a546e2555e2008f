"""The end of a worker: attempts get a grace time, then what can be stopped is stopped and handed back."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from flower_worker.exchange import ExchangeLoop
from flower_worker.execution import Executor
from flower_worker.running_attempts import Attempt, Told

_log = logging.getLogger(__name__)
_STOP_SECONDS = 5.0  # for a cancelled program to clean up
_HAND_IN_SECONDS = 5.0  # for the last outcomes to reach Redis


async def drain(exchanges: Sequence[ExchangeLoop], executor: Executor, grace_seconds: float) -> bool:
    """Lets attempts end, or hands them back; whether no lease is left. Nothing is claimed any more.

    An attempt on a thread cannot be stopped. Handing it back now would let a second one run beside it, so
    that is left to the very end of the process (``last_act.py``).
    """
    running = _running(exchanges)
    if running:
        _log.info("%d attempts are running; they may end within %g s", len(running), grace_seconds)
    if not await _within(grace_seconds, (exchange.quiet for exchange in exchanges)):
        await stop_attempts(exchanges, executor)
        await _within(_HAND_IN_SECONDS, (exchange.handed_in for exchange in exchanges))
    for attempt in _running(exchanges):
        _log.warning("%s could not be stopped; it is handed back when this process ends", attempt)
    unanswered = sum(exchange.unanswered() for exchange in exchanges)
    if unanswered:
        _log.warning("%d outcomes could not be handed in; these tasks will run again", unanswered)
    return all(exchange.quiet.is_set() for exchange in exchanges)


async def stop_attempts(exchanges: Sequence[ExchangeLoop], executor: Executor) -> None:
    """Stops every attempt that can be stopped, and waits a moment for its end."""
    stopped = [attempt for attempt in _running(exchanges) if executor.stop(attempt, Told.STOPPING)]
    tasks = [attempt.task for attempt in stopped if attempt.task is not None]
    if tasks:
        _log.info("%d attempts are stopped and handed back", len(tasks))
        await asyncio.wait(tasks, timeout=_STOP_SECONDS)


def _running(exchanges: Sequence[ExchangeLoop]) -> list[Attempt]:
    return [attempt for exchange in exchanges for attempt in exchange.running()]


async def _within(seconds: float, events: Iterable[asyncio.Event]) -> bool:
    """Waits for all the events, but not longer than this; whether they came."""
    try:
        async with asyncio.timeout(seconds):
            for event in events:
                await event.wait()
    except TimeoutError:
        return False
    return True
