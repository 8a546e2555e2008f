"""One long chain at a time on an engine that is idle otherwise."""

import asyncio
import statistics

import msgspec

from flower_bench.definitions import line
from flower_bench.http_load import load, register_call
from flower_bench.projection_watch import until_ended
from flower_bench.run import Run

_TASKS = 40
_FINISHED = (
    "SELECT (extract(epoch FROM finished_ts) * 1000)::float8 FROM kr_flow_stat WHERE task_flow_id = %s"
)
_POLL_SECONDS = 0.05
_WARM_UP = 3


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """From the register call to the last finish event (whole milliseconds, so half of one is added)."""

    name: str = "chain"
    about: str = f"one flow of {_TASKS} tasks in a row, nothing else running"
    needs: tuple[str, ...] = ()
    is_slow: bool = False

    async def run(self, run: Run) -> None:
        deployment, repeats = run.deployment, run.plan.size(31, 3)
        workflow = deployment.name(self.name)
        await deployment.define(workflow, line(_TASKS))
        await deployment.serve()
        for _ in range(_WARM_UP):
            await deployment.register(workflow)
        await until_ended(deployment, workflow, _WARM_UP)
        call = register_call(deployment, workflow)
        offset_ms = await deployment.clock_offset_ms()
        times: list[float] = []
        async with run.cost_of(self.name, repeats * _TASKS):
            for number in range(repeats):
                _, (answer,) = await load(deployment, call, requests=1, clients=1)
                (flow,) = answer.flows()
                began_ms = answer.due_ns / 1e6 + offset_ms
                times.append(await self._finished_ms(run, flow) + 0.5 - began_ms)
                run.say(f"{number + 1} of {repeats}")
        run.add(
            "register call to last finish, median", statistics.median(times), "ms", samples=repeats,
            target=20, higher_is_better=False,
        )  # fmt: skip
        run.add("per task, median", statistics.median(times) / _TASKS, "ms", samples=repeats)

    async def _finished_ms(self, run: Run, flow: str) -> float:
        async with await run.deployment.connect_postgres() as connection, asyncio.timeout(30):
            while True:
                await asyncio.sleep(_POLL_SECONDS)  # nobody asks while it runs
                row = await (await connection.execute(_FINISHED, [flow])).fetchone()
                if row and row[0]:
                    return float(row[0])
