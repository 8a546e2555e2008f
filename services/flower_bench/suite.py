"""Runs workloads one after the other, each between two floors; what fails does not stop the rest."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from flower_bench.deployment import Deployment
from flower_bench.environment import describe_deployment
from flower_bench.figures import Outcome
from flower_bench.floor import measure_floor
from flower_bench.run import Plan, Run, Workload
from flower_engine.errors import SettingsError


class Suite:
    """``outcomes`` and ``stores`` (what the deployment is) grow while it runs: a run broken off has them."""

    def __init__(
        self,
        workloads: Sequence[Workload],
        plan: Plan,
        make: Callable[[], AbstractAsyncContextManager[Deployment]],
        say: Callable[[str], None],
        show: Callable[[Outcome], None],
    ) -> None:
        self._workloads = workloads
        self._plan = plan
        self._make = make
        self._say = say
        self._show = show
        self._earlier: dict[str, float] = {}
        self.outcomes: list[Outcome] = []
        self.stores: dict[str, str] = {}

    async def run(self) -> None:
        """All of them, each on a deployment that is made for it (or joined again).

        Raises:
            SettingsError: the first one met a setting that is wrong.
        """
        for number, workload in enumerate(self._workloads, start=1):
            outcome = Outcome(workload.name)
            self.outcomes.append(outcome)
            began = time.perf_counter()
            head = f"{number}/{len(self._workloads)} {workload.name}: "

            def say(text: str, head: str = head) -> None:
                self._say(head + text)

            say(workload.about)
            try:
                await self._measure(workload, outcome, say)
            except asyncio.CancelledError:
                outcome.error = "stopped"
                raise
            except Exception as error:  # whatever it is, the others are still measured
                outcome.error = f"{type(error).__name__}: {error}" if str(error) else repr(error)
                if number == 1 and isinstance(error, SettingsError):
                    raise  # nothing is measured yet, and the next ones would meet the same
            finally:
                outcome.seconds = time.perf_counter() - began
                self._show(outcome)

    async def _measure(self, workload: Workload, outcome: Outcome, say: Callable[[str], None]) -> None:
        async with self._make() as deployment:
            if not self.stores:
                self.stores |= await describe_deployment(deployment)
            is_quick = self._plan.is_quick
            outcome.floors.append(
                await measure_floor(deployment, f"before {workload.name}", is_quick=is_quick)
            )
            await workload.run(Run(deployment, self._plan, self._earlier, outcome, say))
            outcome.floors.append(
                await measure_floor(deployment, f"after {workload.name}", is_quick=is_quick)
            )
