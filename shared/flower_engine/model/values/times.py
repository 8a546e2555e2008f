"""Times: which ones every door takes, and what readers show of those that an older Flower took.

A time is milliseconds since the Unix epoch. Postgres holds more of them than JSON, Python and JavaScript can
show, which know the years 1 to 9999, and each time zone moves that. So what is taken leaves room at both
ends: for a time zone, and for what is counted on from a start (a timeout of ten years).
"""

from datetime import UTC, datetime, timedelta

EARLIEST_MS = 0
LATEST_MS = 250_246_627_200_000
BOUNDS = "1970-01-01 to 9900-01-01"

_FIRST_SHOWN_MS = -62_135_596_800_000  # the first and the last millisecond of the years 1 to 9999
_LAST_SHOWN_MS = 253_402_300_799_999
_EPOCH = datetime.fromtimestamp(0, UTC)


def ms_of(time: datetime) -> int:
    """Milliseconds since the Unix epoch; negative before it. The time has an offset."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def is_time(ms: int) -> bool:
    """Whether Flower takes this time: any store can keep it, and any reader can show it."""
    return EARLIEST_MS <= ms <= LATEST_MS


def is_shown(ms: float) -> bool:
    """Whether the time can be shown as it is."""
    return _FIRST_SHOWN_MS <= ms <= _LAST_SHOWN_MS


def nearest(ms: float) -> float:
    """The nearest time that can be shown; of one that can be, itself. Takes infinity, too."""
    return min(max(ms, _FIRST_SHOWN_MS), _LAST_SHOWN_MS)
