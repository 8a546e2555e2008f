"""Open loop: registrations fall due at fixed times, whatever the engine does; latency counts from then.

Each task tells when it started (the program ``Clock``), by the clock of its worker's machine: where that is
another machine than this one, register to start holds the difference of the two clocks.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from flower_bench.definitions import line
from flower_bench.deployment import BenchError
from flower_bench.http_load import Answered, load_on_schedule, register_call
from flower_bench.projection_watch import Span, Watch, until_ended
from flower_bench.run import Run
from flower_bench.workloads.capacity import CAPACITY

_CLIENTS = 64
_MOST_SINGLE_CALLS = 1_000.0  # a second; beyond, calls register several flows: HTTP is not what is measured
_BULK_CALLS = 400.0
_WARM_UP_CALLS = 50
_STAMPS = """
SELECT kr_flow_stat.task_flow_id, array_agg((result ->> 'unixNs')::bigint ORDER BY task_exec_seq)
FROM kr_flow_stat JOIN kr_task_stat USING (task_flow_id) WHERE kr_flow_stat.task_id = %s
GROUP BY kr_flow_stat.task_flow_id
"""


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """Chains of ``tasks`` at ``rate`` tasks a second, or at that part of the capacity (``of_capacity``)."""

    name: str
    about: str
    tasks: int = 3
    rate: float | None = None
    of_capacity: float | None = None
    seconds: float | None = None
    start_targets: dict[float, float] = msgspec.field(default_factory=dict[float, float])
    next_targets: dict[float, float] = msgspec.field(default_factory=dict[float, float])
    lag_targets: dict[float, float] = msgspec.field(default_factory=dict[float, float])
    is_slow: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        return (CAPACITY,) if self.of_capacity else ()

    async def run(self, run: Run) -> None:
        deployment = run.deployment
        rate = self._rate(run)
        seconds = min(self.seconds or run.plan.seconds, run.plan.seconds)
        flows_per_second = rate / self.tasks
        is_single = flows_per_second <= _MOST_SINGLE_CALLS
        per_call = 1 if is_single else math.ceil(flows_per_second / _BULK_CALLS)
        per_second = flows_per_second / per_call
        calls = max(10, round(seconds * per_second))
        await deployment.serve()
        warm = await _define(run, f"{self.name}-warm-up", self.tasks)
        await load_on_schedule(
            deployment, register_call(deployment, warm, per_call),
            requests=_WARM_UP_CALLS, per_second=min(per_second, 100.0), clients=_CLIENTS,
        )  # fmt: skip
        await until_ended(deployment, warm, _WARM_UP_CALLS * per_call)

        workflow = await _define(run, self.name, self.tasks)
        run.say(f"{calls:,} calls of {per_call} flows, {per_second:,.0f} a second")
        flows = calls * per_call
        async with Watch(deployment) as watch, run.cost_of(self.name, flows * self.tasks):
            answers = await load_on_schedule(
                deployment, register_call(deployment, workflow, per_call),
                requests=calls, per_second=per_second, clients=_CLIENTS,
            )  # fmt: skip
            span = await until_ended(deployment, workflow, flows, run.say)
        watch.check()
        self._say_rates(run, rate, per_call, answers, span)
        run.say("reading the stamps")
        starts_ms, next_ms = latencies_ms(answers, await _stamps(run, workflow))
        run.add_percentiles("register to start", starts_ms, self.start_targets)
        if next_ms:
            run.add_percentiles("finish to next start", next_ms, self.next_targets)
        lags = [one.lag_ms for one in watch.samples if span.first_ms <= one.now_ms <= span.last_ms]
        run.add_percentiles("projection lag", lags, self.lag_targets)

    def _rate(self, run: Run) -> float:
        if self.of_capacity is None:
            assert self.rate is not None
            return self.rate
        return self.of_capacity * (run.plan.rate or run.earlier[CAPACITY])

    def _say_rates(
        self, run: Run, rate: float, per_call: int, answers: Sequence[Answered], span: Span
    ) -> None:
        run.add("arrivals", rate, "tasks/s asked for")
        run.add("done, first start to last finish", span.tasks / span.seconds, "tasks/s")
        sent_late_ms = [(one.sent_ns - one.due_ns) / 1e6 for one in answers]
        run.add_percentiles("call sent late by (within its latency)", sent_late_ms, percents=(50, 99))
        if per_call > 1:
            run.note(f"{self.name}: each call registered {per_call} flows")
        late_ms = span.last_ms - max(one.due_ns for one in answers) / 1e6
        if late_ms > 1_000:
            run.note(
                f"{self.name}: it could not keep up: the last task ended {late_ms / 1_000:.1f} s after the"
                " last arrival, so latencies hold a queue that grew all the time"
            )


def latencies_ms(
    answers: Sequence[Answered], stamps: dict[str, list[int]]
) -> tuple[list[float], list[float]]:
    """From the due time of each registration to its first start, and between starts of a chain, in ms."""
    starts: list[float] = []
    following: list[float] = []
    for answer in answers:
        for flow in answer.flows():
            stamped = stamps[flow]
            starts.append((stamped[0] - answer.due_ns) / 1e6)
            following += [(later - one) / 1e6 for one, later in pairwise(stamped)]
    return starts, following


async def _define(run: Run, name: str, tasks: int) -> str:
    workflow = run.deployment.name(name)
    await run.deployment.define(workflow, line(tasks, "Clock"))
    return workflow


async def _stamps(run: Run, workflow: str) -> dict[str, list[int]]:
    async with (
        await run.deployment.connect_postgres() as connection,
        connection.transaction(),
        connection.cursor("bench_stamps") as cursor,
    ):
        cursor.itersize = 10_000
        await cursor.execute(_STAMPS, [workflow])
        stamps = {flow: stamped async for flow, stamped in cursor}
    if any(None in stamped for stamped in stamps.values()):
        raise BenchError("a task's result holds no unixNs: are the workers of this version of Flower?")
    return stamps
