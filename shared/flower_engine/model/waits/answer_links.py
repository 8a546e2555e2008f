"""Links by which somebody without an account answers an approval: made, and opened again.

A link says which task, which asking of it, for whom and until when, and is signed over all of that. Nothing
is kept of it anywhere: that it works once follows from each name counting once in an asking.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import msgspec

PREFIX = "/answers/"
"""Where links lead: what stands behind it is secret."""
MIN_SECRET = 16
MOST_NAME = 200
_PURPOSE = b"flower answer link 1\0"  # a signature of something else is none of these
_decode = msgspec.json.Decoder(tuple[str, int, int, str, int]).decode


class LinkFault(ValueError):  # noqa: N818 # whoever opens a link tells it as a page
    """A link that opens nothing; the message is a sentence for people. ``is_over``: it did once."""

    def __init__(self, message: str, *, is_over: bool = False) -> None:
        super().__init__(message)
        self.is_over = is_over


class AnswerLink(msgspec.Struct, frozen=True):
    """What a link is signed over. ``attempt``: the asking; ``name``: for whom; ``expires``: Unix seconds."""

    flow: str
    task: int
    attempt: int
    name: str
    expires: int


def signed(link: AnswerLink, secret: str) -> str:
    """The text of a link."""
    said = msgspec.json.encode((link.flow, link.task, link.attempt, link.name, link.expires))
    return f"{_text(said)}.{_text(_signature(said, secret))}"


def opened(text: str, secrets: Sequence[str], now: float) -> AnswerLink:
    """What a link says. ``secrets``: any of these may have signed it; ``now``: Unix seconds.

    Raises:
        LinkFault: nobody who knows a secret made it, or its time is over.
    """
    said, _, signature = text.partition(".")
    try:
        content, given = _bytes(said), _bytes(signature)
    except ValueError:
        raise _unknown() from None
    found = False
    for secret in secrets:  # each is compared, so that the time taken tells nothing
        found |= hmac.compare_digest(_signature(content, secret), given)
    if not found:
        raise _unknown()
    link = AnswerLink(*_decode(content))
    if link.expires <= now:
        raise LinkFault("The time of this link is over.", is_over=True)
    return link


def masked(path: str) -> str:
    """The path of a request as logs may have it."""
    return f"{PREFIX}***" if path.startswith(PREFIX) else path


def _signature(said: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE + said, hashlib.sha256)


def _unknown() -> LinkFault:
    return LinkFault("This link is none that was given out, or not the whole of it.")


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
