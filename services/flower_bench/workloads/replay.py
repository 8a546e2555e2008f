"""The tables of flows and tasks, rebuilt from the archive."""

import time

import msgspec

from flower_bench.definitions import line
from flower_bench.projection_watch import release, until_ended, until_projected
from flower_bench.run import Run
from flower_engine.projection.database import connect
from flower_engine.projection.maintain.replay import Selection, rebuild_tables
from flower_engine.projection.maintain.table_comparison import swap_in


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """``flower replay`` of this workload's own flows onto tables that are right."""

    name: str = "replay"
    about: str = "flower replay: the tables rebuilt from the archive of three-task chains"
    needs: tuple[str, ...] = ()
    is_slow: bool = False

    async def run(self, run: Run) -> None:
        deployment, flows = run.deployment, run.plan.size(20_000, 300)
        workflow = deployment.name(self.name)
        await deployment.define(workflow, line(3))
        await deployment.hold(workflow)
        run.say(f"making the history of {flows:,} flows")
        await deployment.register_many(workflow, flows)
        await release(deployment, workflow)
        await until_ended(deployment, workflow, flows, run.say)
        await until_projected(deployment)
        async with await deployment.connect_postgres() as connection:
            # As autovacuum does a minute after so many rows came. Without, Postgres chooses a plan for one
            # workflow's events that was measured to take 20 times as long.
            await connection.execute("ANALYZE kr_event, kr_flow_stat, kr_task_stat")
        chosen, url = Selection(workflow=workflow), deployment.database_url
        async with run.cost_of(self.name, flows * 3):
            began = time.perf_counter()
            async with await connect(url, "bench") as connection, await connect(url, "bench") as reader:
                building = rebuild_tables(connection, reader, chosen, _tell_nobody, at_one_moment=False)
                async with building as (replaying, rebuilt):
                    await swap_in(connection, replaying, rebuilt, chosen)
            seconds = time.perf_counter() - began
        run.add("events replayed", rebuilt.events / seconds, "events/s", samples=rebuilt.events)


def _tell_nobody(_what: str, _done: int, _total: int) -> None:
    """Drawing how far it is would be measured, too."""
