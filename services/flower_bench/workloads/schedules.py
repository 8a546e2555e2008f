"""Schedules: what many cost that are not due, and how soon all are fired that are due in the same second."""

import asyncio
import time

import msgspec

from flower_bench.cpu import REDIS, read_cpu
from flower_bench.definitions import line
from flower_bench.deployment import BenchError, Deployment
from flower_bench.run import Run
from flower_bench.slow_calls import slow_calls
from flower_engine.log.client import send
from flower_engine.log.keys import Keys
from flower_engine.projection.database import Connection
from flower_engine.transitions.loader import Script

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 180.0
_SPREAD_DAYS = 30
_SET = """
INSERT INTO ms_schedule (name, task_id, at)
SELECT %(name)s || '-' || number, %(workflow)s, now() + make_interval(days => 1, secs => number %% %(spread)s)
FROM generate_series(1, %(count)s) AS number
"""
_DUE = """
WITH moment AS (SELECT date_trunc('second', clock_timestamp()) + make_interval(secs => %(ahead)s) AS at)
UPDATE ms_schedule SET at = moment.at FROM moment WHERE starts_with(name, %(name)s) RETURNING moment.at
"""
_KNOWN = """
SELECT count(*) FROM kr_schedule JOIN ms_schedule USING (uid)
WHERE starts_with(ms_schedule.name, %(name)s) AND kr_schedule.version = ms_schedule.version
"""
_FATES = """
SELECT slots.state, slots.late_ms FROM kr_schedule_slot AS slots JOIN ms_schedule USING (uid)
WHERE starts_with(ms_schedule.name, %(name)s)
"""


class Schedules(msgspec.Struct, frozen=True, kw_only=True):
    """So many schedules of workflows of three tasks: first due some day, then all at one moment."""

    name: str = "schedules"
    about: str = "10,000 schedules of three tasks: idle, and all due in the same second"
    needs: tuple[str, ...] = ()
    is_slow: bool = False

    async def run(self, run: Run) -> None:
        deployment = run.deployment
        workflow = deployment.name(self.name)
        count = run.plan.size(10_000, 100)
        await deployment.define(workflow, line(3))
        async with await deployment.connect_postgres() as connection:
            try:
                await _measure(run, connection, workflow, count)
            finally:
                await connection.execute(
                    "DELETE FROM ms_schedule WHERE starts_with(name, %s)", [f"{workflow}-"]
                )


async def _measure(run: Run, connection: Connection, workflow: str, count: int) -> None:
    names = {"name": f"{workflow}-"}
    run.say("the engine without schedules")
    without = await _idle_share(run.deployment, run.plan.seconds)
    began = time.perf_counter()
    spread = {"name": workflow, "workflow": workflow, "count": count, "spread": _SPREAD_DAYS * 86_400}
    await connection.execute(_SET, spread)
    await _until_known(connection, names, count)
    run.add("set by SQL until all are known to watchers", time.perf_counter() - began, "s", samples=count)
    await _until_looked_at(run.deployment, connection)

    run.say(f"{count:,} schedules that are not due")
    idle = await _idle_share(run.deployment, run.plan.seconds)
    seconds = f"{run.plan.seconds:g} s"
    run.add(f"idle, watcher and Redis over {seconds}", idle, "% of a core", higher_is_better=False)
    run.add(
        "of that, for the schedules", idle - without, "% of a core",
        target=1, higher_is_better=False, is_scaled=False,
    )  # fmt: skip

    ahead = run.plan.size(45, 8)
    run.say(f"all are due at once, in {ahead} s")
    await connection.execute(_DUE, {**names, "ahead": ahead})
    script = Script("watcher/fire_slots")
    async with (
        slow_calls(run.deployment.redis, script) as slow,
        run.cost_of(run.outcome.workload, count, "flow"),
    ):
        late_ms = await _until_fired(connection, names, count)
    run.add_percentiles("a flow registered after its second", late_ms, percents=(0, 50, 99))
    run.add("until all are", max(late_ms), "ms", samples=count, target=2_000, higher_is_better=False)
    if slow.longest_ms is None:
        run.note(f"{run.outcome.workload}: Redis lets nobody set its slow log: the longest call is not known")
    else:
        run.add(
            "longest call of Redis that fires", slow.longest_ms, "ms",
            samples=slow.noted, target=20, higher_is_better=False,
        )  # fmt: skip


async def _idle_share(deployment: Deployment, seconds: float) -> float:
    """What watchers and Redis spend, in per cent of one core."""
    before, began = await read_cpu(deployment), time.perf_counter()
    await asyncio.sleep(seconds)
    after, took = await read_cpu(deployment), time.perf_counter() - began
    roles = [role for role in (REDIS, "watcher") if role in before and role in after]
    if len(roles) < 2:
        raise BenchError("Redis or the watcher does not run on this machine, so its CPU cannot be read")
    return 100 * sum(after[role] - before[role] for role in roles) / took


async def _until_known(connection: Connection, names: dict[str, str], count: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        row = await (await connection.execute(_KNOWN, names)).fetchone()
        if row and int(row[0]) == count:
            return
        if time.monotonic() > deadline:
            raise BenchError(f"of {count} schedules watchers know {row[0] if row else 0}: is one running?")
        await asyncio.sleep(_POLL_SECONDS)


async def _until_looked_at(deployment: Deployment, connection: Connection) -> None:
    """A watcher looks once at each schedule that was set: what that takes is none of idling."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    rows = await (await connection.execute("SELECT partition FROM kr_projection")).fetchall()
    for (partition,) in rows:
        while await send(deployment.redis, "ZCOUNT", Keys(partition).schedules, "-inf", time.time() * 1000):
            if time.monotonic() > deadline:
                raise BenchError("watchers have not looked at all schedules that were set")
            await asyncio.sleep(_POLL_SECONDS)


async def _until_fired(connection: Connection, names: dict[str, str], count: int) -> list[float]:
    """How late each is, in ms."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        await asyncio.sleep(1)  # what is counted must not slow down what it counts
        rows = await (await connection.execute(_FATES, names)).fetchall()
        if len(rows) == count:
            break
        if time.monotonic() > deadline:
            raise BenchError(f"of {count} schedules {len(rows)} have a fate")
    others = sorted({str(state) for state, _ in rows} - {"fired"})
    if others:
        raise BenchError(f"some slots are not fired but {' and '.join(others)}")
    return [float(late) for _, late in rows]
