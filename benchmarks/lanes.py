"""What a claim costs Redis while 1 or 1,000 lanes wait: ``python -m benchmarks.lanes``.

Each line: microseconds of Redis' main thread for a call that hands in what it holds and claims again.
"""

from typing import Any

from benchmarks.one_redis import run_on_redis
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.values.ids import make_flow_id
from flower_engine.transitions.flow_control_transitions import read_held, set_control
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.worker_transitions import (
    Outcome,
    OutcomeKind,
    Service,
    attend,
    finish_and_claim,
)

TASKS = 20_000
CALLS = 150
FREE = FlowControl(scope="program", name="elsewhere", max_running=1)
LIMITED = FlowControl(scope="program", name="A", max_running=1_000)


async def _cpu_seconds(client: AsyncRedis) -> float:
    info: Any = await client.info("cpu")  # pyright: ignore[reportUnknownMemberType]
    return float(info["used_cpu_sys_main_thread"]) + float(info["used_cpu_user_main_thread"])


async def measure(url: str, *, lanes: int, slots: int, unserved: int, control: FlowControl | None) -> float:
    """Microseconds of Redis a call."""
    async with connect(url) as client:
        await send(client, "FLUSHALL")
        meta = await install(client, 0, "benchmark", 1)
        partition = Partition(0, meta.installation, meta.generation)
        await attend(client, partition, ["default"])
        if control is not None:
            held = await read_held(client, partition)
            await set_control(client, partition, partitions=1, held=held, controls=[control])
        number = 0
        for program, workflows in (("A", lanes), ("B", unserved)):
            for index in range(workflows):
                name = f"{program}{index}"
                task = TaskDefinition(task_seq=1, program=program)
                plan = FlowPlan(name, plan_flow(WorkflowDefinition(name=name, tasks=(task,))))
                starts: list[Start] = []
                for _ in range(TASKS // lanes if program == "A" else 1):
                    number += 1
                    starts.append(Start(make_flow_id(0, 0, number), plan))
                await register(client, partition, starts)
        service = Service(("default",), ("A",)).args()
        outcomes: list[Outcome] = []
        before = 0.0
        for call in range(1, CALLS + 11):
            if call == 11:  # what was first seen has found its place
                before = await _cpu_seconds(client)
            reply = await finish_and_claim(
                client,
                partition,
                "w",
                call,
                answered=call - 1,
                outcomes=outcomes,
                wanted=slots,
                service_args=service,
            )
            outcomes = [Outcome(claim, OutcomeKind.FINISHED) for claim in reply.claims]
        return (await _cpu_seconds(client) - before) / CALLS * 1e6


async def main(url: str) -> None:
    """Prints every case."""
    for what, control in (("no limits", None), ("another limit", FREE), ("its limit", LIMITED)):
        for slots in (1, 8, 100):
            one = await measure(url, lanes=1, slots=slots, unserved=0, control=control)
            many = await measure(url, lanes=1_000, slots=slots, unserved=0, control=control)
            mixed = await measure(url, lanes=1, slots=slots, unserved=1_000, control=control)
            print(
                f"{what:14} slots {slots:3}: 1 lane {one:7.1f}, 1,000 lanes {many:7.1f} ({many / one:.2f}),"
                f" 1 lane and 1,000 that nobody serves {mixed:7.1f} ({mixed / one:.2f})"
            )


if __name__ == "__main__":
    run_on_redis(main)
