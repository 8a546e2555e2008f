"""``slot``: what a schedule knows of each slot, to be given as parameters of its flows."""

from datetime import date, datetime, time
from typing import Any, cast

from flower_engine.authoring.ref import Ref, Target


class SlotValues:
    """``slot.date``, ``slot.iso``... stand for values of the slot that a flow is of; ``slot.previous.date``
    and ``slot.next.date`` for those of the slots before and after, null where there is none."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    @property
    def date(self) -> date:
        """The day, by the clock of the schedule's time zone."""
        return cast("Any", self._ref("date", date))

    @property
    def time(self) -> time:
        """The time of day, by the same clock."""
        return cast("Any", self._ref("time", time))

    @property
    def iso(self) -> datetime:
        """Day and time with the offset of the schedule's time zone."""
        return cast("Any", self._ref("iso", datetime))

    @property
    def utc(self) -> datetime:
        """Day and time in UTC."""
        return cast("Any", self._ref("utc", datetime))

    @property
    def ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return cast("Any", self._ref("ms", int))

    def _ref(self, form: str, annotation: Any) -> Ref[Any]:
        name = f"{self._prefix}{form}"
        return Ref(Target(None, f"slot.{name}", annotation, {"$slot": name}))


class Slots(SlotValues):
    """The slot, and its neighbours."""

    previous = SlotValues("previous.")
    next = SlotValues("next.")


slot = Slots()
"""In ``nightly.schedule(...).given(day=slot.date)``."""
