"""Fan-out and fan-in: one task, then as many at once as a flow may have, then one that waits for all."""

import msgspec

from flower_bench.definitions import fan
from flower_bench.run import Run
from flower_bench.workloads.backlog import INDEPENDENT, us_per_task_of, work_off
from flower_engine.model.tasks.task_spec import MAX_TASKS


class Fan(msgspec.Struct, frozen=True, kw_only=True):
    """The time per task, beside that of independent tasks in the same run."""

    name: str = "fan"
    about: str = f"fan-out and back: 1 -> {MAX_TASKS - 2:,} -> 1, as wide as a flow may be"
    needs: tuple[str, ...] = (INDEPENDENT,)
    is_slow: bool = False

    async def run(self, run: Run) -> None:
        wide = run.plan.size(MAX_TASKS - 2, 500)
        workflow = run.deployment.name(self.name)
        await run.deployment.define(workflow, fan(wide))
        span, _ = await work_off(run, workflow, 1, wide + 2)
        us = span.seconds / span.tasks * 1e6
        run.add("to the last finish event", span.tasks / span.seconds, "tasks/s")
        run.add("per task", us, "us", higher_is_better=False)
        if beside := run.earlier.get(us_per_task_of(INDEPENDENT)):
            run.add(
                "per task, times that of independent tasks", us / beside, "times",
                target=1.3, higher_is_better=False, is_scaled=False,
            )  # fmt: skip
