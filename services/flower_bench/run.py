"""What a workload is given, and what it adds its findings to."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from flower_bench.cpu import read_cpu, us_per_task
from flower_bench.deployment import BenchError, Deployment
from flower_bench.figures import Cost, Figure, Outcome
from flower_bench.percentiles import PERCENTILES, percentile


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How large the workloads are: ``seconds`` of steady load, ``rate`` in tasks/s for the capacity."""

    is_quick: bool = False
    seconds: float = 60.0
    rate: float | None = None
    shapes: tuple[Path, ...] = ()

    def size(self, full: int, quick: int) -> int:
        """One of the two."""
        return quick if self.is_quick else full


class Run:
    """One workload on one deployment. ``earlier`` holds figures of workloads before it, by their names."""

    def __init__(
        self,
        deployment: Deployment,
        plan: Plan,
        earlier: dict[str, float],
        outcome: Outcome,
        say: Callable[[str], None],
    ) -> None:
        self.deployment = deployment
        self.plan = plan
        self.earlier = earlier
        self.outcome = outcome
        self.say = say

    def add(self, what: str, value: float, unit: str, **more: Any) -> None:
        """A figure; ``more`` are the other fields of :class:`Figure`."""
        figure = Figure(workload=self.outcome.workload, what=what, value=value, unit=unit, **more)
        self.outcome.figures.append(figure)

    def add_percentiles(
        self,
        what: str,
        values_ms: Sequence[float],
        targets: Mapping[float, float] | None = None,
        percents: Sequence[float] = PERCENTILES,
    ) -> None:
        """Percentiles of latencies, each with its target where there is one."""
        if not values_ms:
            raise BenchError(f"nothing was measured for {what}")
        ordered = sorted(values_ms)
        for percent in percents:
            self.add(
                f"{what}, p{percent:g}", percentile(ordered, percent), "ms", samples=len(ordered),
                target=(targets or {}).get(percent), higher_is_better=False,
            )  # fmt: skip

    def note(self, text: str) -> None:
        """A sentence below the tables."""
        self.outcome.notes.append(text)

    @asynccontextmanager
    async def cost_of(self, what: str, tasks: int, per: str = "task") -> AsyncGenerator[dict[str, float]]:
        """Counts the CPU that the block takes; the dict has its outcome by role after the block."""
        before, spent = await read_cpu(self.deployment), dict[str, float]()
        yield spent
        spent |= us_per_task(before, await read_cpu(self.deployment), tasks)
        self.outcome.costs.append(Cost(what, tasks, spent, per))


class Workload(Protocol):
    """Something to measure. ``needs`` names workloads that run before it, whose figures it uses."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...

    @property
    def is_slow(self) -> bool:
        """Whether it runs only when it is named."""
        ...

    async def run(self, run: Run) -> None:
        """Measures, and adds its figures to ``run`` as they come."""
        ...
