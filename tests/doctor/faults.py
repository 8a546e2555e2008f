"""Faults of an engine that is at work, each brought about for real, and put right again."""

import asyncio
import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import psycopg

from acceptance.running import RunningEngine
from flower_engine.doctor.subject import Bounds
from flower_engine.log.client import connect, connect_blocking, send_blocking
from flower_engine.log.durability import setting_of


@dataclass
class Given:
    """What the examination is given, beside the engine."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    env_file_said: list[str] = field(default_factory=list)
    bounds: Bounds = field(default_factory=Bounds)


class Expected(NamedTuple):
    """A finding, by words of its sentence and of its advice."""

    state: str
    check: str
    says: str
    advises: str


Bring = Callable[[RunningEngine, Given], AbstractContextManager[None]]


class Fault(NamedTuple):
    bring: Bring
    expected: Expected


FAULTS: list[Fault] = []
"""Filled by the modules of each subject; ``all_faults`` imports them."""


def fault(
    state: str, check: str, says: str, advises: str
) -> Callable[[Callable[..., Generator[None]]], Bring]:
    """Lists what brings a fault about, with the finding that tells of it."""

    def listed(function: Callable[..., Generator[None]]) -> Bring:
        bring = contextmanager(function)
        FAULTS.append(Fault(bring, Expected(state, check, says, advises)))
        return bring

    return listed


def redis(engine: RunningEngine, *words: Any) -> Any:
    with connect_blocking(engine.addresses.redis_url) as client:
        return send_blocking(client, *words)


def sql(engine: RunningEngine, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def configured(engine: RunningEngine, name: str, value: Any) -> Generator[None]:
    """A setting of Redis is another one."""
    before = asyncio.run(_setting(engine, name))
    redis(engine, "CONFIG SET", name, value)
    try:
        yield
    finally:
        redis(engine, "CONFIG SET", name, before)


async def _setting(engine: RunningEngine, name: str) -> str:
    async with connect(engine.addresses.redis_url) as client:
        return await setting_of(client, name)


@contextmanager
def system(engine: RunningEngine, name: str, value: str) -> Generator[None]:
    """A setting of Postgres is another one."""
    sql(engine, f"ALTER SYSTEM SET {name} = {value}")
    sql(engine, "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        sql(engine, f"ALTER SYSTEM RESET {name}")
        sql(engine, "SELECT pg_reload_conf()")


OWN = "from pathlib import Path\nfrom flower_engine import program\n"


@contextmanager
def second_worker(
    engine: RunningEngine, given: Given, text: str, *, broken: str | None = None
) -> Generator[None]:
    """A worker with a module of its own, which serves a queue of its own."""
    (given.folder / "doctors_own.py").write_text(OWN + (text if "@program" in text else f"@program\n{text}"))
    engine.start(
        "worker-2",
        FLOWER_PROGRAMS="doctors_own",
        FLOWER_QUEUES="own",
        FLOWER_PROCESSES="1",
        PYTHONPATH=f"{given.folder}:{os.environ.get('PYTHONPATH', '')}",
    )
    try:
        engine.wait_for(
            "the second worker",
            lambda: any("own" in one["queues"] for one in engine.client.get("/workers").json()["workers"]),
        )
        if broken is not None:
            (given.folder / "read.py").write_text(broken)
            pid = engine.service_pid("worker-2")
            for child in psutil.Process(pid).children():
                child.kill()
        yield
    finally:
        engine.stop("worker-2")


@contextmanager
def ended(engine: RunningEngine, workflow: str) -> Generator[str]:
    """A flow of the workflow, which is cancelled at the end."""
    (flow,) = engine.register(workflow, 1)
    try:
        yield flow
    finally:
        engine.ask("POST", f"/flows/{flow}/cancel")
        engine.ask("DELETE", f"/workflows/{workflow}")
