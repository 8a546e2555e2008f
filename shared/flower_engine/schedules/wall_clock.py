"""Cron expressions on the clocks of a time zone, where clocks change, too.

The rules. They follow from the hours that an expression names, not from how it spells them (``*/2`` and
``0,2,4,...`` are the same), and are the same with five fields and with six:

* **Fixed hours** (any but all 24). Each local time that the expression names is a slot at the first moment at
  which the clock shows it or a later time. So: a time that clocks jump over is a slot right after the jump;
  of several in one jump, and with a slot that is there anyway, there is one. A time that comes twice, because
  clocks are put back, is a slot the first time only.
* **Every hour** (``*``, ``0-23``). An expression goes by elapsed time: whenever the clock shows a time that
  it names, that is a slot. So ``0 * * * *`` comes every 60 minutes: what is jumped over never comes, and what
  comes twice is two slots.

``cronsim`` has other rules, those of Debian's cron: an hour that begins with ``*`` (``*/6``, too), a minute
that begins with ``*``, or a sixth field make it go by elapsed time, so that ``*/10 2 * * *`` or ``0 */6 * *
*`` lose what a jump takes; and it knows no jump of a whole day (Apia, December 2011). So it is asked for
what an expression means and which days match, and never sees a time zone (docs/decisions has the reasons).
"""

from collections.abc import Iterator

from flower_engine.schedules.cron import Cron
from flower_engine.schedules.stretches import Stretch
from flower_engine.schedules.zones import Segment


def ascending(cron: Cron, segment: Segment, stretch: Stretch) -> Iterator[int]:
    """The slots (seconds since the epoch) of a stretch of a segment, oldest first."""
    jump, first = _begin(cron, segment, stretch)
    if jump:
        yield segment.begin
    for local in cron.ascending(first, stretch.end + segment.offset):
        yield local - segment.offset


def descending(cron: Cron, segment: Segment, stretch: Stretch) -> Iterator[int]:
    """The same, newest first."""
    jump, first = _begin(cron, segment, stretch)
    for local in cron.descending(first, stretch.end + segment.offset):
        yield local - segment.offset
    if jump:
        yield segment.begin


def count(cron: Cron, segment: Segment, stretch: Stretch) -> int:
    """How many there are."""
    jump, first = _begin(cron, segment, stretch)
    return jump + cron.count(first, stretch.end + segment.offset)


def _begin(cron: Cron, segment: Segment, stretch: Stretch) -> tuple[bool, int]:
    """Whether there is a slot right after the jump, and the local time from which the others come."""
    local = segment.begin + segment.offset
    first = stretch.begin + segment.offset
    if cron.is_every_hour:
        return False, first
    jump = (
        segment.skipped < local
        and stretch.begin <= segment.begin < stretch.end
        and next(cron.ascending(segment.skipped, local), None) is not None
    )
    return jump, max(first, local + 1 if jump else segment.fresh)
