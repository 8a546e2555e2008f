"""Registering over HTTP, single and in bulk; on a deployment of the suite's own no worker runs meanwhile."""

import msgspec

from flower_bench.definitions import line
from flower_bench.http_load import load, register_call
from flower_bench.projection_watch import until_projected
from flower_bench.run import Run

_CLIENTS = (1, 16, 64)
_BULK_FLOWS = 100
_TARGET_CLIENTS = 16


class Registering(msgspec.Struct, frozen=True, kw_only=True):
    """Three-task flows; ``flows`` are those of one call: 1, or a bulk."""

    name: str
    about: str
    flows: int
    target: float
    needs: tuple[str, ...] = ()
    is_slow: bool = False

    async def run(self, run: Run) -> None:
        deployment = run.deployment
        workflow = deployment.name(self.name)
        await deployment.define(workflow, line(3))
        request = register_call(deployment, workflow, self.flows)
        calls = run.plan.size(5_000, 200) if self.flows == 1 else run.plan.size(200, 10)
        await load(deployment, request, requests=max(10, calls // 20), clients=4)  # warms up
        for clients in _CLIENTS:
            what = f"{clients} client{'s' if clients > 1 else ''}"
            run.say(what)
            await until_projected(deployment)
            async with run.cost_of(f"{self.name}, {what}", calls * self.flows, per="flow"):
                seconds, answers = await load(deployment, request, requests=calls, clients=clients)
            target = self.target if clients == _TARGET_CLIENTS else None
            run.add(what, calls * self.flows / seconds, "flows/s", samples=calls, target=target)
            latencies = [(one.answered_ns - one.due_ns) / 1e6 for one in answers]
            run.add_percentiles(f"{what}, a call", latencies)


SINGLE = Registering(
    name="register",
    about="register one flow a call over HTTP, at 1, 16 and 64 clients",
    flows=1,
    target=3_000,
)
BULK = Registering(
    name="register-bulk", about=f"register {_BULK_FLOWS} flows a call over HTTP, at 1, 16 and 64 clients",
    flows=_BULK_FLOWS, target=20_000,
)  # fmt: skip
