"""What people ask while much waits: ``PYTHONPATH=tests python -m benchmarks.backlog [FLOWS ...]``.

An engine without workers, and so many flows that wait in it. Of each question the fastest of some answers, in
milliseconds, and the CPU of API, Redis and Postgres for one: none may grow with what waits.
"""

import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from acceptance.running import PATIENT, RunningEngine
from flower_bench.environment import describe_environment

TIMES = 15
SERVICES = ("api", "projector", "watcher")
_TASK = {"program": "EchoParamTimeSleep", "parameters": {"SLEEP_TIME_SECOND": "0"}}
TASKS = [{"taskSeq": seq, **_TASK} for seq in (1, 2, 3)]


def _spent(engine: RunningEngine) -> float:
    pids = [engine.service_pid("api"), engine.store_pid("valkey"), engine.store_pid("postgres")]
    spent = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # one that has just ended
                times = one.cpu_times()
                spent += times.user + times.system
    return spent


def questions(flow: str) -> dict[str, str]:
    """By name, the path that is asked."""
    return {
        "GET /flows": "/flows",
        "GET /flows?status=Running": "/flows?status=Running",
        "GET /flows?status=Suspend": "/flows?status=Suspend",
        "GET /flows?taskId=three": "/flows?taskId=three",
        "GET /limits": "/limits",
        "GET /top (flower top)": "/top",
        "GET /flows/ID (show, why)": f"/flows/{flow}",
        "GET /flow-names/last": "/flow-names/last",
        "GET /errors": "/errors",
        "GET /metrics": "/metrics",
        "GET /readyz": "/readyz",
    }


def main(sizes: list[int]) -> None:
    """Prints a table."""
    for name, value in describe_environment().items():
        print(f"{name}: {value}")
    table: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="flower-bench-") as folder:
        settings = {"FLOWER_MAX_UNPROJECTED_EVENTS": "10000000", **PATIENT}
        with RunningEngine.started(Path(folder), *SERVICES, **settings) as engine:
            engine.define_ahead("three", TASKS)
            flows: list[str] = []
            for size in sizes:
                flows += engine.register("three", size - len(flows))
                engine.wait_until_projected(flows)
                for name, path in questions(flows[len(flows) // 2]).items():
                    engine.client.get(path)
                    seconds: list[float] = []
                    before = _spent(engine)
                    for _ in range(TIMES):
                        began = time.perf_counter()
                        engine.client.get(path).raise_for_status()
                        seconds.append(time.perf_counter() - began)
                    cpu = (_spent(engine) - before) / TIMES
                    table.setdefault(name, []).append(f"{min(seconds) * 1e3:.1f} ({cpu * 1e3:.1f})")
                for words in (("top", "--once"), ("why", flows[-1]), ("show", flows[-1])):
                    seconds = []
                    for _ in range(3):
                        began = time.perf_counter()
                        engine.flower(*words)
                        seconds.append(time.perf_counter() - began)
                    table.setdefault(f"flower {words[0]}", []).append(f"{min(seconds) * 1e3:.0f}")
    print(f"\nmilliseconds, the fastest of {TIMES} (and of CPU, the mean); of commands the fastest of 3\n")
    print("| asked | " + " | ".join(f"{size:,} flows wait" for size in sizes) + " |")
    print("|" + "---|" * (len(sizes) + 1))
    for name, cells in table.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1_000, 30_000, 100_000])
