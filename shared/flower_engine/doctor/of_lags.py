"""How far things are behind: the projection, and with it the archive; and those who follow that."""

from flower_engine.doctor.findings import Finding, and_more, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.insight.backlog import read_backlogs
from flower_engine.log.client import one_server, send
from flower_engine.log.reader import read_behind
from flower_engine.log.task_log_stream import read_task_log
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.archive.follower_lags import follower_lags
from flower_engine.projection.task_logs.chunk_rows import read_position

_MB = 1 << 20
_ADVICE = (
    "see that a projector runs (its log says what it waits for) and that Postgres keeps up: its disk, locks"
    " that somebody holds, a `flower prune` or `flower replay` under way"
)


async def projection(subject: Subject) -> list[Finding]:
    """What is in the log and not in Postgres yet, by number and bytes, and how old it is where Postgres says
    how far it is."""
    check, settings, client = "lag.projection", subject.settings, subject.client
    read = zip(subject.partitions, await read_backlogs(client, subject.partitions), strict=True)
    backlogs = {one.number: backlog for one, backlog in read if backlog is not None}
    if not backlogs:
        return []
    worst = max(backlogs, key=lambda number: (backlogs[number].events, backlogs[number].size_bytes))
    backlog = backlogs[worst]
    positions = {row.partition: row.position for row in subject.projected}
    seconds = 0.0
    for one in subject.partitions:
        if one.number in backlogs and backlogs[one.number].events and one.number in positions:
            page = await read_behind(client, one.keys, positions[one.number], 1)
            if page.entries:
                now, _ = await send(one_server(client, one.number), "TIME")
                seconds = max(seconds, int(now) - as_numbers(page.entries[0].position)[0] / 1000)
    events = sum(one.events for one in backlogs.values())
    if not events:
        return [ok(check, "everything that happened is in Postgres")]
    where = f", {backlog.events:,} of them of partition {worst}" if len(backlogs) > 1 else ""
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


async def task_logs(subject: Subject) -> list[Finding]:
    """Lines of tasks that are in Redis and not stored yet."""
    check, oldest = "lag.task_logs", 0.0
    for partition in subject.some_partitions:
        position = await read_position(subject.connection, partition.number)
        found = await read_task_log(subject.client, partition.keys, position, 1)
        if found.entries:
            since_ms, _ = as_numbers(found.entries[0][0].decode())
            oldest = max(oldest, (found.now_ms - since_ms) / 1000)
    if oldest < subject.bounds.task_log_seconds:
        return [ok(check, "what tasks wrote is stored")]
    detail = f"what tasks wrote has waited for {oldest:,.0f} s to be stored"
    advice = "see that a projector runs and what its log says of task logs: beyond FLOWER_TASK_LOG_BUFFER_MB"
    return [warning(check, detail, f"{advice} the oldest lines go")]


async def followers(subject: Subject) -> list[Finding]:
    """Those who read the archive to tell others of it: traces, hooks."""
    check, found = "lag.followers", list[Finding]()
    lags = await follower_lags(subject.connection)
    for name in sorted({one.name for one in lags}):
        worst = max((one for one in lags if one.name == name), key=lambda one: one.seconds)
        behind = f"{name} are behind the archive by {worst.seconds:,.0f} s (partition {worst.partition})"
        advice = f"see in the projector's log what {name} wait for; where they were switched off for good,"
        advice += f" take their rows out of kr_follower (name {name})"
        if worst.seconds >= subject.bounds.follower_seconds:
            found.append(warning(check, behind, advice))
        if any(one.has_lost for one in lags if one.name == name):
            detail = f"a prune took events that {name} had not read"
            found.append(warning(check, detail, f"{advice}; or keep history longer (FLOWER_RETENTION_DAYS)"))
    names = and_more(sorted({one.name for one in lags}))
    return found or [ok(check, f"none is behind: {names}" if names else "nobody follows the archive")]
