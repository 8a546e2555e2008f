"""``/healthz`` and ``/readyz`` of a service, at ``FLOWER_METRICS_PORT``."""

import asyncio

import msgspec

from flower_engine.runtime.service_endpoint import Answer, Page
from flower_engine.runtime.work_done import Standing, WorkDone

_LOOK_AGAIN_SECONDS = 0.5
_JSON = "application/json"


class Readiness(msgspec.Struct, frozen=True, rename="camel"):
    """Whether a service does its work, and each piece of it; ``problems``: everything that is wrong.

    ``status``: ``ready``, ``not ready``, or ``degraded`` where only some partitions stand still, which are
    ``missing``."""

    status: str
    service: str
    problems: list[str]
    work: list[Standing]
    missing: list[int] = []


def probes_of(done: WorkDone) -> dict[str, Page]:
    """The pages; for ``service_endpoint``."""

    async def healthz() -> Answer:
        # That this is run at all is what it tells: the event loop answers.
        return Answer(200, _JSON, b'{"status":"alive"}')

    async def readyz() -> Answer:
        readiness = await look(done)
        return Answer(503 if readiness.status == "not ready" else 200, _JSON, msgspec.json.encode(readiness))

    return {"/healthz": healthz, "/readyz": readyz}


async def look(done: WorkDone) -> Readiness:
    """How the service stands. What seems late is looked at twice: whoever has just been woken, as after a
    stopped process goes on, has not had its turn yet."""
    readiness = _now(done)
    if readiness.problems:
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        readiness = _now(done)
    return readiness


def _now(done: WorkDone) -> Readiness:
    work = done.standings()
    problems = [f"{one.name}: {one.problem}" for one in work if one.problem is not None]
    if done.waits_for is not None:
        problems.insert(0, done.waits_for)
    if not problems:
        return Readiness("ready", done.service, problems, work)
    late = {one.partition for one in work if one.problem is not None}
    missing = sorted(number for number in late if number is not None)
    others = {one.partition for one in work} - late - {None}
    if done.waits_for is None and None not in late and others:
        return Readiness("degraded", done.service, problems, work, missing)
    return Readiness("not ready", done.service, problems, work, missing)
