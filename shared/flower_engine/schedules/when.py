"""The fields of a schedule that say when it fires."""

import msgspec


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Exactly one of ``cron``, ``every_seconds`` and ``at_ms`` is set. Units are those of a schedule."""

    cron: str | None = None
    every_seconds: float | None = None
    at_ms: int | None = None
    anchor_ms: int | None = None  # of every_seconds; None: the epoch
    timezone: str = "UTC"
    starts_ms: int | None = None  # the first moment that may be a slot
    ends_ms: int | None = None  # the last one
    except_dates: tuple[str, ...] = ()
    calendar_days: tuple[str, ...] = ()
    """The days of the schedule's calendar, filled in by whoever reads its row: firing needs no Postgres."""
