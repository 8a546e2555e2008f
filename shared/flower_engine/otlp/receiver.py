"""Whoever takes spans: what sending to one may come to."""

from typing import Literal, Protocol

Protocols = Literal["http", "grpc"]


class ReceiverAwayError(OSError):
    """The receiver does not take the request now, or not from us: the same request may be taken later.
    ``seconds``: how long it asks to be left alone."""

    def __init__(self, said: str, seconds: float = 0.0) -> None:
        super().__init__(said)
        self.seconds = seconds


class ReceiverFailedError(ReceiverAwayError):
    """The receiver failed with the request, by its fault or by that of what the request holds: nobody knows.
    So it is worth some tries, not any number."""


class RequestRefusedError(Exception):
    """The receiver refuses what the request holds, which sending it again does not change."""


class RequestTooLargeError(Exception):
    """The receiver would take less at a time."""


class Receiver(Protocol):
    """A connection to a receiver; any number of requests may be on their way."""

    async def send(self, request: bytes) -> str:
        """Sends an encoded ``ExportTraceServiceRequest``; returns what the receiver says of spans that it did
        not take ("": it took all).

        Raises:
            ReceiverAwayError, RequestRefusedError, RequestTooLargeError
        """
        ...

    async def close(self) -> None: ...
