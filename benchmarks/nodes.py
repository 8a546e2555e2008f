"""What nodes and partitions cost: ``PYTHONPATH=tests python -m benchmarks.nodes [FLOWS]`` (2,000).

The same load over one server and over clusters, with 1, 4 and 16 partitions, in turns: microseconds of CPU a
task, of all processes together and by kind, and what all of them use while nothing happens. Nodes have no
replicas: those would do all writes once more. These are CPU times, so they bear with a machine that does
other things, as far as its caches do.
"""

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from acceptance.running import PATIENT, RunningEngine
from cluster.servers import ClusterServers
from flower_bench.environment import describe_environment

CASES = ((1, 1), (1, 4), (1, 16), (3, 4), (3, 16), (6, 16))
ROUNDS = 2
IDLE_SECONDS = 10.0
_ASK_SECONDS = 0.3
SERVICES = ("api", "projector", "watcher", "worker")
_TASK = {"program": "EchoParamTimeSleep", "parameters": {"SLEEP_TIME_SECOND": "0"}}
TASKS = [{"taskSeq": seq, **_TASK} for seq in (1, 2, 3)]


@contextmanager
def _engine(folder: Path, nodes: int, partitions: int) -> Generator[tuple[RunningEngine, list[int]]]:
    """An engine, and the processes of its servers of Redis."""
    settings = {"FLOWER_PARTITIONS": str(partitions), "FLOWER_CONCURRENCY": "1000", **PATIENT}
    if nodes == 1:
        with RunningEngine.started(folder, *SERVICES, **settings) as engine:
            yield engine, [engine.store_pid("valkey")]
        return
    with ClusterServers.started(folder / "cluster", masters=nodes, replicas=0) as servers:
        settings["FLOWER_REDIS_URL"] = servers.url
        with RunningEngine.started(folder, *SERVICES, **settings) as engine:
            yield engine, [server.pid for server in servers.servers]


def _spent(engine: RunningEngine, redis: list[int]) -> dict[str, float]:
    """Seconds of CPU so far, by kind of process."""
    pids = {name: [engine.service_pid(name)] for name in SERVICES}
    pids |= {"Redis": redis, "Postgres": [engine.store_pid("postgres")]}
    return {name: sum(_of(psutil.Process(pid)) for pid in found) for name, found in pids.items()}


def _of(process: psutil.Process) -> float:
    times = process.cpu_times()
    own = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # one that has just ended
            own += sum(child.cpu_times()[:2])
    return own


def _until_ended(engine: RunningEngine) -> None:
    """Asks seldom, and what costs Postgres little."""
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        while connection.execute(
            "SELECT count(*) FROM kr_flow_stat WHERE finished_ts IS NULL"
        ).fetchone() != (0,):
            time.sleep(_ASK_SECONDS)


def _difference(before: dict[str, float], after: dict[str, float], by: float) -> dict[str, float]:
    return {name: (after[name] - before[name]) / by * 1e6 for name in before}


def measure(nodes: int, partitions: int, flows: int) -> tuple[dict[str, float], float]:
    """Microseconds a task, by kind; and the share of a core that all take while nothing happens."""
    with tempfile.TemporaryDirectory(prefix="flower-bench-") as folder:
        with _engine(Path(folder), nodes, partitions) as (engine, redis):
            engine.define("three", TASKS)
            engine.wait_until_ended(engine.register("three", 200))  # all is warm
            before = _spent(engine, redis)
            engine.register("three", flows)
            _until_ended(engine)
            after = _spent(engine, redis)
            time.sleep(IDLE_SECONDS)
            idle = sum(_difference(after, _spent(engine, redis), IDLE_SECONDS).values()) / 1e6
        return _difference(before, after, flows * len(TASKS)), idle


def main(flows: int) -> None:
    """Prints a table."""
    for name, value in describe_environment().items():
        print(f"{name}: {value}")
    found: dict[tuple[int, int], list[tuple[dict[str, float], float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for nodes, partitions in CASES:
            found[nodes, partitions].append(measure(nodes, partitions, flows))
            print(".", end="", flush=True)
    kinds = list(next(iter(found.values()))[0][0])
    print(f"\n\n{flows * len(TASKS):,} tasks, {ROUNDS} times in turns; microseconds of CPU a task (mean)\n")
    print("| nodes | partitions | all | each time | " + " | ".join(kinds) + " | idle, of a core |")
    print("|" + "---|" * (len(kinds) + 5))
    for (nodes, partitions), runs in found.items():
        all_of = [sum(one.values()) for one, _ in runs]
        means = " | ".join(f"{statistics.mean(one[kind] for one, _ in runs):.0f}" for kind in kinds)
        idle = statistics.mean(idle for _, idle in runs)
        each = ", ".join(f"{one:.0f}" for one in all_of)
        print(f"| {nodes} | {partitions} | {statistics.mean(all_of):.0f} | {each} | {means} | {idle:.1%} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
