"""A backlog of flows that workers meet at once, while the projector follows."""

from typing import Any

import msgspec

from flower_bench.cpu import REDIS
from flower_bench.definitions import line
from flower_bench.projection_watch import Span, Watch, release, until_ended, until_projected
from flower_bench.run import Run

INDEPENDENT, CHAINS = "independent", "chains"
_MOST_LAG_MS = 5_000.0


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """So many flows of so many tasks in a row. The time runs from the first start to the last finish event
    (or to the projection of it), by Redis' clock."""

    name: str
    about: str
    tasks: int
    flows: int
    flows_if_quick: int
    projected_target: float | None = None
    finished_target: float | None = None
    redis_us_target: float | None = None
    needs: tuple[str, ...] = ()
    is_slow: bool = False

    async def run(self, run: Run) -> None:
        flows = run.plan.size(self.flows, self.flows_if_quick)
        workflow = run.deployment.name(self.name)
        await run.deployment.define(workflow, line(self.tasks))
        span, projected_ms = await work_off(run, workflow, flows, flows * self.tasks)
        rate = span.tasks / span.seconds
        run.add("to the last finish event", rate, "tasks/s", target=self.finished_target)
        to_projected = span.tasks / max((projected_ms - span.first_ms) / 1_000, 1e-3)
        run.add("to the last one projected", to_projected, "tasks/s", target=self.projected_target)
        run.add("events projected, two a task", 2 * to_projected, "events/s")
        run.earlier[us_per_task_of(self.name)] = span.seconds / span.tasks * 1e6
        spent = run.outcome.costs[-1].us_per_task
        if REDIS in spent:
            target: dict[str, Any] = {"target": self.redis_us_target, "higher_is_better": False}
            run.add("CPU of Redis' main thread", spent[REDIS], "us/task", **target)


async def work_off(run: Run, workflow: str, flows: int, tasks: int) -> tuple[Span, float]:
    """Builds the backlog, lets it go, waits for its end: its span, and when all was projected (ms)."""
    deployment = run.deployment
    await deployment.hold(workflow)
    run.say(f"registering {flows:,} flows")
    await deployment.register_many(workflow, flows)
    await until_projected(deployment)
    async with Watch(deployment) as watch:
        await release(deployment, workflow)
        async with run.cost_of(run.outcome.workload, tasks):
            span = await until_ended(deployment, workflow, flows, run.say)
            await until_projected(deployment)
        projected_ms = await watch.until_all_projected_ms(span.last_ms)
    lags = [one.lag_ms for one in watch.samples if span.first_ms <= one.now_ms <= span.last_ms]
    run.add(
        "projection behind, at most", max(lags, default=0.0), "ms", samples=len(lags),
        target=_MOST_LAG_MS, higher_is_better=False, is_scaled=False,
    )  # fmt: skip
    return span, projected_ms


def us_per_task_of(workload: str) -> str:
    """Under which name the time per task of a workload is kept for others."""
    return f"{workload}, us per task"
