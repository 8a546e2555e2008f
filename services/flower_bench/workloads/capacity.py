"""How much the engine sustains, with registrations coming in as fast as it can work them off."""

import asyncio
import time

import msgspec

from flower_bench.definitions import line
from flower_bench.projection_watch import count_ended, until_ended, until_projected
from flower_bench.run import Run

CAPACITY = "capacity"
_SECONDS = 20.0
_CALL_FLOWS = 100
_LOOK_SECONDS = 0.25


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """Chains of three that are registered in bulk calls of 100, so that some thousand flows always wait."""

    name: str = CAPACITY
    about: str = "chains of three, registered as fast as they are worked off"
    needs: tuple[str, ...] = ()
    is_slow: bool = False

    async def run(self, run: Run) -> None:
        deployment = run.deployment
        seconds = min(_SECONDS, run.plan.seconds)
        most = run.plan.size(4_000, 500)
        workflow = deployment.name(self.name)
        await deployment.define(workflow, line(3, "Clock"))
        await deployment.serve()
        registered = 0
        until = time.monotonic() + seconds
        async with await deployment.connect_postgres() as connection:
            while time.monotonic() < until:
                ended = await count_ended(connection, workflow)
                run.say(f"{ended * 3:,} tasks ended")
                missing = most - (registered - ended)
                if missing >= _CALL_FLOWS:
                    await deployment.register_many(workflow, missing)
                    registered += missing
                else:
                    await asyncio.sleep(_LOOK_SECONDS)
            span = await until_ended(deployment, workflow, registered, run.say)
        await until_projected(deployment)
        run.add("registered and worked off", span.tasks / span.seconds, "tasks/s")
        run.earlier[self.name] = span.tasks / span.seconds
