"""What a task of a plain DAG costs Redis, in this checkout and in others: ``python -m benchmarks.redis_cpu
[FOLDER...] [--rounds N]``.

Each folder is a checkout, an older one for example; without any, this one is compared with itself. One Valkey
does the work of all of them in turns, the first once more at the end of each round, so that what is printed
has its own spread beside it: the median and the least of all rounds, and the ratios to the first. Only the
CPU time of Valkey's main thread counts, so other work on the machine disturbs less. In chains dependents are
released, independent tasks are not; all are registered, claimed by one worker and finished, through the
scripts of that checkout.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from redis import Redis

SHAPES = {
    "chains of 10": (400, 10, True, 16),
    "10 independent": (400, 10, False, 16),
    "one task": (4_000, 1, True, 16),
    "chains of 10, a task a call": (300, 10, True, 1),
}
"""Flows, tasks of each, whether each waits for the one before, and slots."""
_HERE = Path(__file__).resolve().parents[1]


async def load(url: str, flows: int, tasks: int, is_chain: bool, slots: int) -> None:
    """Runs so many flows, with the engine that is imported; nothing here is newer than the first release."""
    from flower_engine.log.client import connect  # noqa: PLC0415 # of the checkout that is measured
    from flower_engine.log.partition import Partition  # noqa: PLC0415
    from flower_engine.model.definitions.definition import (  # noqa: PLC0415
        TaskDefinition,
        WorkflowDefinition,
        plan_flow,
    )
    from flower_engine.model.tasks.outcome_kinds import OutcomeKind  # noqa: PLC0415
    from flower_engine.model.values.ids import make_flow_id  # noqa: PLC0415
    from flower_engine.transitions.installation_transitions import install  # noqa: PLC0415
    from flower_engine.transitions.register_transition import FlowPlan, Start, register  # noqa: PLC0415
    from flower_engine.transitions.worker_transitions import (  # noqa: PLC0415
        Outcome,
        Service,
        attend,
        finish_and_claim,
    )

    client = connect(url)
    meta = await install(client, 0, "bench", 1)
    partition = Partition(0, meta.installation, meta.generation)
    await attend(client, partition, ["default"])
    rows = tuple(
        TaskDefinition(task_seq=seq, program="A", depends_on=(seq - 1,) if is_chain and seq > 1 else ())
        for seq in range(1, tasks + 1)
    )
    plan = FlowPlan("bench", plan_flow(WorkflowDefinition(name="bench", tasks=rows)))
    for first in range(0, flows, 100):
        starts = [Start(make_flow_id(first + one, 0, 1), plan) for one in range(min(100, flows - first))]
        assert {each.word for each in await register(client, partition, starts)} == {"ok"}
    service = Service(("default",), ("A",))
    outcomes: list[Outcome] = []
    done, number = 0, 0
    while True:
        number += 1
        got = await finish_and_claim(
            client, partition, "w", number, answered=number - 1, outcomes=outcomes, wanted=slots,
            service_args=service.args(), version="-",
        )  # fmt: skip
        done += len(outcomes)
        outcomes = [Outcome(claim, OutcomeKind.FINISHED, b'{"rows":1}') for claim in got.claims]
        if not outcomes and not got.more:
            break
    assert done == flows * tasks, f"{done} of {flows * tasks} tasks ran"
    await client.aclose()


def measured(server: Redis, url: str, folder: Path, shape: str) -> float:
    """Microseconds of the main thread's CPU a task."""
    from flower_engine.log.client import send_blocking  # noqa: PLC0415

    flows, tasks, is_chain, slots = SHAPES[shape]
    send_blocking(server, "FLUSHALL")
    before = _spent(server)
    code = (
        f"import asyncio, runpy; load = runpy.run_path({__file__!r})['load'];"
        f" asyncio.run(load({url!r}, {flows}, {tasks}, {is_chain}, {slots}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(folder / "shared")})
    return (_spent(server) - before) / (flows * tasks) * 1e6


def _spent(server: Redis) -> float:
    from flower_engine.log.client import send_blocking  # noqa: PLC0415

    info: dict[str, float] = send_blocking(server, "INFO", "cpu")
    return float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"])


def main() -> None:
    """Measures and prints a table."""
    from flower_engine.embedded.home import Home  # noqa: PLC0415 # a child has another checkout's
    from flower_engine.embedded.valkey import EmbeddedValkey  # noqa: PLC0415
    from flower_engine.log.client import connect_blocking  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, default=[_HERE])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    folders: list[Path] = [one.resolve() for one in given.folders]
    turns = [*folders, folders[0]]
    with tempfile.TemporaryDirectory(prefix="flower-bench-") as folder, Home(Path(folder)) as home:
        valkey = EmbeddedValkey(home, durable=False)
        url = valkey.start()
        server = connect_blocking(url)
        print("| shape | " + " | ".join([*map(str, folders), "the first again"]) + " | to the first |")
        print("|---|" + "---|" * (len(turns) + 1))
        for shape in SHAPES:
            rounds = [[measured(server, url, one, shape) for one in turns] for _ in range(given.rounds)]
            columns = list(zip(*rounds, strict=True))
            ratios = [[row[at] / row[0] for row in rounds] for at in range(1, len(turns))]
            cells = [f"{statistics.median(column):.1f} us ({min(column):.1f})" for column in columns]
            told = ", ".join(
                f"{statistics.median(one):.3f} ({min(one):.3f} to {max(one):.3f})" for one in ratios
            )
            print(f"| {shape} | " + " | ".join(cells) + f" | {told} |", flush=True)
        valkey.stop()


if __name__ == "__main__":
    main()
