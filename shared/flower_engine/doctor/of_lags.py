"""How far things are behind: the projection, and with it the archive."""

from flower_engine.doctor.findings import Finding, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.insight.backlog import read_backlogs
from flower_engine.log.client import send
from flower_engine.log.reader import read_behind
from flower_engine.model.positions import as_numbers

_MB = 1 << 20
_ADVICE = (
    "see that a projector runs (its log says what it waits for) and that Postgres keeps up: its disk, locks"
    " that somebody holds, a `flower prune` or `flower replay` under way"
)


async def projection(subject: Subject) -> list[Finding]:
    """What is in the log and not in Postgres yet, by number and bytes, and how old it is where Postgres says
    how far it is."""
    check, settings, client = "lag.projection", subject.settings, subject.client
    backlogs = await read_backlogs(client, subject.partitions)
    if not backlogs:
        return []
    worst = max(range(len(backlogs)), key=lambda index: (backlogs[index].events, backlogs[index].size_bytes))
    backlog, partition = backlogs[worst], subject.partitions[worst]
    positions = {row.partition: row.position for row in subject.projected}
    seconds = 0.0
    for one, other in zip(subject.partitions, backlogs, strict=True):
        if other.events and one.number in positions:
            page = await read_behind(client, one.keys, positions[one.number], 1)
            if page.entries:
                now, _ = await send(client, "TIME")
                seconds = max(seconds, int(now) - as_numbers(page.entries[0].position)[0] / 1000)
    events = sum(one.events for one in backlogs)
    if not events:
        return [ok(check, "everything that happened is in Postgres")]
    where = f", {backlog.events:,} of them of partition {partition.number}" if len(backlogs) > 1 else ""
    aged = f", the oldest for {seconds:,.0f} s" if seconds >= 1 else ""
    detail = f"{events:,} events are not in Postgres yet{where}{aged}"
    size_mb = backlog.size_bytes / _MB
    part = max(backlog.events / settings.max_unprojected_events, size_mb / settings.max_unprojected_mb)
    if part >= 1:
        detail += ": more than may be (FLOWER_MAX_UNPROJECTED_EVENTS, _MB), so nothing is registered"
        return [problem(check, detail, _ADVICE)]
    if seconds >= subject.bounds.lag_seconds[1]:
        return [problem(check, detail, _ADVICE)]
    if part >= 0.5 or seconds >= subject.bounds.lag_seconds[0]:
        return [warning(check, detail, _ADVICE)]
    return [ok(check, detail)]
