"""The header ``Retry-After`` of HTTP: seconds, or a date."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_MOST_DIGITS = 9


def asked_seconds(headers: Mapping[str, str], now_seconds: float | None = None) -> float | None:
    """For how many seconds an answer asks to be left alone; None: it does not, or says nonsense. ``headers``
    have names in small letters, or in any. A date counts from the answer's own, and only without one from
    ``now_seconds`` (Unix): clocks differ."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS:
        return float(text)
    until = _seconds(text)
    if until is None:
        return None
    since = _seconds(headers.get("date", ""))
    since = now_seconds if since is None else since
    return None if since is None else max(0.0, until - since)


def _seconds(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
