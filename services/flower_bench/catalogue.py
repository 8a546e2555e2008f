"""Every workload, in the order in which they run, with its targets."""

from collections.abc import Sequence

from flower_bench.run import Workload
from flower_bench.workloads.backlog import CHAINS, INDEPENDENT, Backlog
from flower_bench.workloads.capacity import CAPACITY, Capacity
from flower_bench.workloads.chain import Chain
from flower_bench.workloads.fan import Fan
from flower_bench.workloads.memory import Memory
from flower_bench.workloads.registrations import BULK, SINGLE
from flower_bench.workloads.replay import Replay
from flower_bench.workloads.schedules import Schedules
from flower_bench.workloads.shapes import Shapes
from flower_bench.workloads.steady import Steady
from flower_engine.errors import SettingsError

WORKLOADS: tuple[Workload, ...] = (
    Backlog(
        name=INDEPENDENT, about="backlog of 30,000 independent tasks",
        tasks=1, flows=30_000, flows_if_quick=300,
    ),
    Backlog(
        name=CHAINS, about="backlog of 20,000 chains of three tasks",
        tasks=3, flows=20_000, flows_if_quick=200,
        projected_target=10_000, finished_target=12_000, redis_us_target=30,
    ),
    Chain(),
    Fan(),
    Shapes(),
    SINGLE,
    BULK,
    Capacity(),
    Steady(
        name="start", about="one task 50 times a second: from register to start on an idle engine",
        tasks=1, rate=50, seconds=20, start_targets={50: 2, 99: 6},
    ),
    Steady(
        name="steady-2000", about="open loop: chains of three at 2,000 tasks/s",
        rate=2_000, next_targets={50: 1.5, 99: 10}, lag_targets={99: 250},
    ),
    Steady(
        name="steady-50", about="open loop: chains of three at 50 % of the capacity", of_capacity=0.5
    ),
    Steady(
        name="steady-80", about="open loop: chains of three at 80 % of the capacity", of_capacity=0.8
    ),
    Replay(),
    Schedules(),
    Memory(),
)  # fmt: skip


def choose(names: Sequence[str], *, has_rate: bool) -> list[Workload]:
    """The workloads of these names and those that they need, in their order; all but slow ones for no name.

    With a given rate nobody needs the capacity.

    Raises:
        SettingsError: there is no workload of a name; lists those that there are.
    """
    known = {workload.name: workload for workload in WORKLOADS}
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(
            f"--only: no workload is named {', '.join(unknown)}; there are {', '.join(known)}"
        )
    wanted = set(names) or {workload.name for workload in WORKLOADS if not workload.is_slow}
    for workload in [known[name] for name in wanted]:
        wanted |= {need for need in workload.needs if not (has_rate and need == CAPACITY)}
    return [workload for workload in WORKLOADS if workload.name in wanted]
