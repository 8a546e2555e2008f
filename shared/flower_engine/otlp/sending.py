"""Requests on their way to a receiver."""

import logging

from flower_engine.otlp.receiver import Receiver, RequestRefusedError, RequestTooLargeError
from flower_engine.otlp.span_requests import halves

_log = logging.getLogger(__name__)


async def send(receiver: Receiver, request: bytes) -> None:
    """Sends a request; in parts, where the receiver takes less at a time. What it refuses for what it holds
    is said, and lost: nothing would change that.

    Raises:
        ReceiverAwayError: it does not take it now. Parts of it may have been taken.
    """
    try:
        said = await receiver.send(request)
    except RequestTooLargeError as error:
        parts = halves(request)
        for part in parts:
            await send(receiver, part)
        if not parts:
            _log.error("a span is lost, which is too large for the receiver of traces: %s", error)
    except RequestRefusedError as error:
        _log.error("spans are lost, which the receiver of traces refuses: %s", error)
    else:
        if said:
            _log.warning("the receiver of traces: %s", said)
