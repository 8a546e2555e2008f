"""Who spent how much CPU: read before and after, split by process."""

import contextlib
from collections.abc import Mapping

import psutil

from flower_bench.deployment import Deployment
from flower_engine.log.client import one_server, send

REDIS, POSTGRES, BENCH = "Redis main thread", "Postgres", "this bench"
_ROLES = {"worker": "worker", "projector": "projector", "api": "API", "watcher": "watcher"}
ROLES = (REDIS, "worker", "projector", POSTGRES, "API", "watcher", BENCH)


async def read_cpu(deployment: Deployment) -> dict[str, float]:
    """Seconds of CPU by role so far; a role that is not on this machine is absent."""
    info = await send(one_server(deployment.redis, 0), "INFO", "cpu")
    seconds = {BENCH: _spent(psutil.Process())}
    with contextlib.suppress(KeyError):  # an older Redis counts its threads together only
        main_thread = info["used_cpu_user_main_thread"], info["used_cpu_sys_main_thread"]
        seconds[REDIS] = sum(map(float, main_thread))
    for service, processes in deployment.processes().items():
        with contextlib.suppress(psutil.Error):
            seconds[_ROLES[service]] = sum(_spent_with_children(process) for process in processes)
    postmaster = await _postmaster(deployment)
    if postmaster is not None:
        seconds[POSTGRES] = _spent_with_children(postmaster)
    return seconds


def us_per_task(before: Mapping[str, float], after: Mapping[str, float], tasks: int) -> dict[str, float]:
    """Microseconds a task by role, of the roles that were there both times."""
    return {role: (after[role] - before[role]) / tasks * 1e6 for role in after if role in before}


async def _postmaster(deployment: Deployment) -> psutil.Process | None:
    """The parent of the server process of a new connection, if it is a Postgres on this machine."""
    async with await deployment.connect_postgres() as connection:
        row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
        assert row is not None
        with contextlib.suppress(psutil.Error):
            backend = psutil.Process(int(row[0]))
            parent = backend.parent()
            if parent is not None and parent.name().startswith("postgres") and "postgres" in backend.name():
                return parent
    return None


def _spent_with_children(process: psutil.Process) -> float:
    """Its own time, that of its children, and that of children which have ended (the kernel adds it up)."""
    times = process.cpu_times()
    ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    children = 0.0
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            children += _spent(child)
    return times.user + times.system + ended + children


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
