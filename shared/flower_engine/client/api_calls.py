"""Calls of the API without I/O: what is sent, again and again where it may help, and what the answers mean.

A call is a generator: it yields what is to be done (a request, a pause), is sent what came of it, and returns
its result. ``http_sessions.py`` drives it, blocking or with asyncio; so there is one protocol for both.
"""

import random
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from flower_engine.client.client_errors import ApiUnavailableError, error_of, kind_of
from flower_engine.retry_after import asked_seconds

T = TypeVar("T")

RETRY_SECONDS = 30.0
"""How long a call tries, where nothing else is said."""

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_SHORTEST_TRY_SECONDS = 1.0
_AGAIN = (408, 502, 503, 504)  # the API, or a proxy before it, cannot now; 429 depends on its type


class Request(NamedTuple):
    """What is to be sent. ``query``: values that are None are left out, those of a list stand in it often.
    ``key``: the idempotency key of a call that changes something. ``seconds``: how long the answer may
    take. ``waits``: for so many seconds more the API is asked to wait for something; where too many calls
    wait already, it is not asked. ``traceparent``: the caller's span, "" if there is none. ``last_event``:
    what is followed goes on behind it."""

    method: str
    path: str
    query: Mapping[str, Any] = {}
    body: bytes | None = None
    key: str | None = None
    seconds: float = 60.0
    waits: float = 0.0
    traceparent: str = ""
    last_event: str = ""


class Answer(NamedTuple):
    """What the API answered; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Unreached(NamedTuple):
    """No answer came, and nobody knows whether the request arrived."""

    why: str


class Pause(NamedTuple):
    """Some time is to pass."""

    seconds: float


Steps = Generator[Request | Pause, Any, T]
"""A call on its way to its result."""


class Patience:
    """How long a call may go on trying. ``now`` tells seconds that never go back."""

    def __init__(self, seconds: float | None, now: Callable[[], float] = time.monotonic) -> None:
        """``seconds``: None is for ever."""
        self.seconds = seconds
        self._now = now
        self._began = now()

    @property
    def left(self) -> float:
        """Seconds until it is over; not above 0: it is."""
        passed = self._now() - self._began
        return float("inf") if self.seconds is None else self.seconds - passed


def sent(request: Request, patience: Patience) -> Steps[Answer]:
    """The API's answer to a request that may be sent more than once.

    It is sent again while the API is not reached, cannot now, or is too far behind, with pauses that grow and
    differ between callers; ``Retry-After`` is heeded.

    Raises:
        ApiUnavailableError: it was so for as long as may be.
        FlowerError: the API refused, see :func:`error_of`.
    """
    pause_seconds = _FIRST_PAUSE_SECONDS
    while True:
        seconds = max(_SHORTEST_TRY_SECONDS, min(request.seconds, patience.left))
        answer: Answer | Unreached = yield request._replace(seconds=seconds)
        if isinstance(answer, Answer) and answer.status < 400:
            return answer
        yield Pause(pause_after(answer, pause_seconds, patience))
        pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)


def pause_after(answer: Answer | Unreached, pause_seconds: float, patience: Patience) -> float:
    """How long to wait before it is sent again: about this long, or as long as the answer asks.

    Raises:
        ApiUnavailableError: patience is over by then.
        FlowerError: the API refused, and would again.
    """
    if isinstance(answer, Answer) and not _may_help_again(answer):
        raise error_of(answer.status, answer.content)
    wait_seconds = max(pause_seconds * random.uniform(0.5, 1.0), _asked_seconds(answer))
    if wait_seconds >= patience.left:
        raise _unavailable(answer, patience)
    return wait_seconds


def decoded(answer: Answer, kind: type[T]) -> T:
    """The answer as the type that it should have.

    Raises:
        ApiUnavailableError: it is something else: at this address is no API of Flower, or a proxy answers.
    """
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.MsgspecError as error:
        start = answer.content[:200].decode(errors="replace")
        raise ApiUnavailableError(f"what answers is no API of Flower ({error}): {start}") from None


def _may_help_again(answer: Answer) -> bool:
    # A flow limit that says "reject" means it; whoever is told decides.
    return answer.status in _AGAIN or (
        answer.status == 429 and kind_of(answer.content) in ("projection-behind", "")
    )


def _asked_seconds(answer: Answer | Unreached) -> float:
    """What ``Retry-After`` says, and up to a fourth more, so that not all come back at once."""
    asked = asked_seconds(answer.headers) if isinstance(answer, Answer) else None
    return (asked or 0.0) * random.uniform(1.0, 1.25)


def _unavailable(answer: Answer | Unreached, patience: Patience) -> ApiUnavailableError:
    if isinstance(answer, Unreached):
        why = answer.why
    else:
        why = f"{answer.status}: {error_of(answer.status, answer.content)}"
    return ApiUnavailableError(f"not done within {patience.seconds or 0:g} s: {why}")
