"""Up to where slots of schedules have their fates after a loss: as archived, and as only the lost log has it.

The flows that only the lost log had are registered again, so the fates of their slots hold, too, and those of
the slots between them.
"""

from collections.abc import Iterable, Sequence

from flower_engine.errors import NewerEventError
from flower_engine.model.events.events import decode_event
from flower_engine.model.events.schedule_events import ScheduleFired, SlotsPassed
from flower_engine.model.folding.schedule_state import fate_of
from flower_engine.projection.archive.refused_events import UNREADABLE
from flower_engine.transitions.recovery_transitions import SlotsKnown


def slots_after_loss(
    known: Sequence[tuple[str, int, int, int | None]], forked: Iterable[bytes]
) -> list[SlotsKnown]:
    """What is to be remembered. ``known``: uid, cursor, failures, held slot; ``forked``: events that only a
    fork has, oldest first. Those that contradict what is known, or cannot be read, are left out."""
    cursors = {uid: cursor for uid, cursor, _, _ in known}
    counts = {uid: failures for uid, _, failures, _ in known}
    events: dict[str, list[bytes]] = {}
    for raw in forked:
        try:
            event = decode_event(raw)
        except (NewerEventError, *UNREADABLE):
            continue
        if not isinstance(event, ScheduleFired | SlotsPassed):
            continue
        fate = fate_of(event)
        if fate.backfill or fate.slot <= cursors.get(event.schedule, 0):
            continue
        cursors[event.schedule], counts[event.schedule] = fate.until, event.failures
        events.setdefault(event.schedule, []).append(raw)
    held = {uid: slot for uid, _, _, slot in known if slot is not None}
    return [
        SlotsKnown(uid, cursor, counts[uid], _behind(held.get(uid), cursor), events.get(uid, ()))
        for uid, cursor in cursors.items()
    ]


def _behind(slot: int | None, cursor: int) -> int | None:
    return slot if slot is not None and slot > cursor else None
