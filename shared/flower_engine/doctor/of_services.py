"""Whether the services are there, as what they do shows: no service is asked but the API."""

import asyncio
import logging
from typing import Any

from flower_engine.doctor.findings import Finding, and_more, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.log.client import send
from flower_engine.log.engine_clock import read_engine_time
from flower_engine.log.keys import Keys
from flower_engine.projection.write.election import projecting
from flower_engine.projection.write.projector_members import read_members
from flower_engine.transitions.worker_transitions import live_workers

_MS = 1000
_REQUEST_SECONDS = 3.0
_READY, _WAITS = 200, 503


async def watchers(subject: Subject) -> list[Finding]:
    """When one looked after each partition last."""
    check, silent = "watchers", list[str]()
    for partition in subject.some_partitions:
        time, clock_ms = await read_engine_time(subject.client, partition.keys)
        seconds = (time.now(clock_ms) - time.tick) / _MS
        if not time.tick:
            silent.append(f"partition {partition.number} has never been watched")
        elif seconds > subject.bounds.silence_seconds:
            silent.append(f"nobody has watched partition {partition.number} for {seconds:,.0f} s")
    if silent:
        advice = "start one (flower watcher): it moves timers, fires schedules, and notices lost workers"
        return [problem(check, and_more(silent, 3), advice)]
    return [ok(check, "each partition is watched")]


async def projectors(subject: Subject) -> list[Finding]:
    """Whether one is elected for each partition."""
    check = "projectors"
    at_work = await projecting(subject.connection)
    missing = [row.partition for row in subject.projected if row.partition not in at_work]
    if missing:
        detail = f"no projector is at work on partition {and_more(missing)}"
        return [problem(check, detail, "start one (flower projector), or see in its log what it waits for")]
    live = await read_members(subject.connection)
    shared = f"; {len(live)} share them" if len(live) > 1 else ""
    return [ok(check, f"each partition has one at work{shared}")]


async def workers(subject: Subject) -> list[Finding]:
    """Who lives, and what is wrong with each by its own words."""
    check = "workers"
    if not subject.partitions:
        return []
    found: list[Finding] = []
    live = subject.workers
    live += await live_workers(subject.client, subject.partitions[0])
    if not live:
        advice = "start one: flower worker --programs MODULE"
        return [warning(check, "no worker is alive: what is registered waits", advice)]
    for partition in subject.some_partitions[1:]:
        known = {worker.worker for worker in await live_workers(subject.client, partition)}
        if missing := [worker.worker for worker in live if worker.worker not in known]:
            detail = f"{and_more(missing)} is not heard of in partition {partition.number}"
            advice = "see its log: it may have begun with another FLOWER_PARTITIONS, or be about to end"
            found.append(warning(check, detail, advice))
    for worker in live:
        if worker.stuck:
            detail = (
                f"worker {worker.worker} has {len(worker.stuck)} stuck slots: {and_more(worker.stuck, 3)}"
            )
            advice = "these run on threads, which nothing can stop: let them end, or restart the worker"
            found.append(warning("workers.stuck", detail, advice))
        for program, why in worker.unable.items():
            detail = f"worker {worker.worker} cannot start program {program}: {why}"
            found.append(problem("workers.unable", detail, "mend what it says; it tries again by itself"))
        if worker.outdated:
            detail = (
                f"worker {worker.worker} runs code from before {and_more(worker.outdated, 3)} was changed"
            )
            found.append(warning("workers.outdated", detail, "restart it to take the new code up"))
    slots, running = sum(one.slots for one in live), sum(one.running for one in live)
    found.append(ok(check, f"{len(live)} are alive; {running:,} of {slots:,} slots are in use"))
    return found


async def api(subject: Subject) -> list[Finding]:
    """What it says of itself."""
    import httpx  # noqa: PLC0415 # for this alone

    check, url = "api", subject.settings.api_url
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        async with (
            asyncio.timeout(_REQUEST_SECONDS),
            httpx.AsyncClient(
                timeout=_REQUEST_SECONDS,
                trust_env=False,
                verify=url.lower().startswith(
                    "https:"
                ),  # http needs no certificates, and reading all takes a while
            ) as client,
        ):
            reply = await client.get(f"{url}/readyz")
    except (httpx.HTTPError, OSError) as error:
        detail = f"no API answers at {url} ({type(error).__name__})"
        advice = "start one (flower api), or set FLOWER_URL to where it is"
        return [(problem if subject.settings.url else warning)(check, detail, advice)]
    if reply.status_code == _READY:
        return [ok(check, f"the one at {url} is ready")]
    try:
        body: Any = reply.json()
        said = str(body.get("detail", ""))
    except (ValueError, AttributeError):
        said = ""
    detail = f"the API at {url} answers {reply.status_code}{f': {said}' if said else ''}"
    if reply.status_code == _WAITS:
        return [problem(check, detail, "put right what it waits for; it goes on by itself")]
    return [
        warning(
            check, detail, "see that FLOWER_URL names an API of Flower, and FLOWER_ALLOWED_HOSTS its host"
        )
    ]


async def kept_results(subject: Subject) -> list[Finding]:
    """How much of ``FLOWER_MAX_KEPT_MB`` results take that wait for their readers."""
    check, most_mb = "kept results", subject.settings.max_kept_mb
    worst, where = 0, 0
    for partition in subject.partitions:
        kept = int(await send(subject.client, "HGET", Keys(partition.number).meta, "kept") or 0)
        if kept > worst:
            worst, where = kept, partition.number
    mb, part = worst / (1 << 20), worst / (most_mb << 20)
    detail = f"partition {where} keeps {mb:,.1f} MB of results for tasks to come"
    detail += f", of {most_mb:,} MB (FLOWER_MAX_KEPT_MB)"
    bound = subject.bounds.kept_part
    if part < bound[0]:
        return [ok(check, detail)]
    advice = (
        "workers store results beyond as blobs: give them FLOWER_BLOBS, if they have none; look for"
        " flows that are held up behind large results, or raise FLOWER_MAX_KEPT_MB"
    )
    return [warning(check, detail, advice)]
