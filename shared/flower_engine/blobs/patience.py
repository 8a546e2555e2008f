"""Waiting for a store of blobs, for code that may block: until it works, with growing pauses."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from flower_engine.errors import BlobStoreError
from flower_engine.secrets import hide_secrets

T = TypeVar("T")

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0
_SAY_AGAIN_SECONDS = 30.0


class StorePatience:
    """How long to wait after each failure, and what the log says: once, and again now and then."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._say_at = 0.0
        self._delay_seconds = 0.0

    def failed(self, what: str, error: BlobStoreError) -> float:
        """Seconds to wait; ``what`` is being tried."""
        now = time.monotonic()
        if now >= self._say_at:
            self._say_at = now + _SAY_AGAIN_SECONDS
            self._log.warning("%s waits: %s; trying again", what, hide_secrets(str(error)))
        self._delay_seconds = min(LONGEST_SECONDS, self._delay_seconds * 2 or FIRST_SECONDS)
        return self._delay_seconds

    def worked(self, what: str) -> None:
        """It worked at last."""
        if self._delay_seconds:
            self._log.warning("%s goes on", what)


def patiently(log: logging.Logger, what: str, call: Callable[[], T], tell: Callable[[str], None]) -> T:
    """What the call returns, as soon as the store can be used; ``tell`` is told what is waited for."""
    patience = StorePatience(log)
    while True:
        try:
            result = call()
        except BlobStoreError as error:
            tell(f"{what}: {error}")
            time.sleep(patience.failed(what, error))
        else:
            patience.worked(what)
            return result
