"""Schedules that do not fire, or not on time."""

from flower_engine.doctor.findings import Finding, and_more, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.projection.read.schedule_health import (
    held_slots,
    missed_lately,
    paused_schedules,
    schedules_with_problems,
)

_MOST_SAID = 10


async def schedules(subject: Subject) -> list[Finding]:
    """Each with its problem; those that are paused, whose slots wait, or were missed."""
    check, connection = "schedules", subject.connection
    found = [
        problem(check, f"schedule {name} does not fire: {why}", f"flower schedules show {name}; then mend it")
        for name, why in await schedules_with_problems(connection, _MOST_SAID)
    ]
    paused = await paused_schedules(connection, 1_000)
    failed = [one for one in paused if one.is_by_failures]
    for one in failed[:_MOST_SAID]:
        advice = f"see flower errors; when it is mended, flower schedules resume {one.name}"
        found.append(warning(check, f"schedule {one.name} is paused: {one.reason}", advice))
    for name, slot, seconds in await held_slots(connection, subject.bounds.held_slot_seconds, _MOST_SAID):
        detail = (
            f"slot {slot} of schedule {name} has waited for {seconds / 3600:,.1f} h for the flow before it"
        )
        advice = f"flower schedules slots {name}; end or mend that flow, or take another overlap"
        found.append(warning(check, detail, advice))
    for name, count in await missed_lately(connection, _MOST_SAID):
        advice = f"flower schedules slots {name} --state missed says why; flower schedules backfill runs them"
        found.append(
            warning(check, f"{count:,} slots of schedule {name} were missed in the last day", advice)
        )
    others = len(paused) - len(failed)
    rest = f" ({others} are paused by people: {and_more([one.name for one in paused if one not in failed])})"
    return found or [ok(check, f"none has a problem{rest if others else ''}")]
