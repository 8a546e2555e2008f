"""The clocks of this machine, Redis and Postgres beside each other."""

import time

from flower_engine.doctor.findings import Finding, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.log.client import one_server, send
from flower_engine.log.engine_clock import read_engine_time

_MS = 1000
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


async def clocks(subject: Subject) -> list[Finding]:
    """By how much they differ, beyond what asking took; and whether Redis' went back."""
    check = "clocks"
    apart: list[tuple[str, float]] = []
    if subject.redis is not None:
        before = time.time()
        seconds, micros = await send(one_server(subject.redis, 0), "TIME")
        apart.append(("Redis", _beyond(int(seconds) + int(micros) / 1e6, before)))
    if subject.postgres is not None:
        before = time.time()
        row = await (await subject.postgres.execute(_NOW)).fetchone()
        apart.append(("Postgres", _beyond(int(row[0]) / _MS if row else before, before)))
    bound = subject.bounds.clocks_apart_seconds
    advice = "set the clocks by NTP: slots of schedules come by Redis' clock, times of rows by Postgres'"
    found: list[Finding] = []
    for store, by in apart:
        if abs(by) >= bound[0]:
            make = problem if abs(by) >= bound[1] else warning
            found.append(make(check, f"the clock of {store} is {by:+,.1f} s from this machine's", advice))
    if subject.redis is not None and subject.partitions:
        engine_time, _ = await read_engine_time(subject.redis, subject.partitions[0].keys)
        ahead = engine_time.skew / _MS
        if ahead >= bound[0]:
            detail = f"Redis' clock went back: times that are shown are {ahead:,.1f} s ahead of it"
            advice = "nothing is late or lost for it (docs/operations.md, 'Clocks'); it comes back by itself"
            found.append(warning(check, detail, advice))
    names = " and ".join(store for store, _ in apart)
    return found or ([ok(check, f"those of {names} are as this machine's")] if apart else [])


def _beyond(there: float, before: float) -> float:
    """By how many seconds a clock is off; 0 within what it took to ask it."""
    now = time.time()
    return there - before if there < before else max(0.0, there - now)
