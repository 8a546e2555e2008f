"""``flower bench`` measures, says what it measured on, and survives what fails."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import forked_flower
from cli.up_process import up, urls
from flower_bench.figures import Figure
from flower_bench.http_load import Answered
from flower_bench.percentiles import percentile
from flower_bench.workloads.shapes import critical_path, read_shape
from flower_bench.workloads.steady import latencies_ms
from flower_engine.errors import SettingsError
from flower_engine.model.tasks.task_spec import MAX_TASKS


def bench(results: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return forked_flower.flower(
        *("bench", "--results", str(results), *words), environment={**os.environ, **variables}, timeout=600
    )


def rows_of(results: Path) -> list[list[str]]:
    """The cells of every row of the one report in a folder."""
    (file,) = results.glob("*-bench.md")
    lines = [line for line in file.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def shape_file(folder: Path, tasks: list[dict[str, Any]]) -> Path:
    file = folder / "shape.json"
    file.write_text(json.dumps({"tasks": tasks}))
    return file


def test_an_unknown_workload_is_refused_with_the_list(tmp_path: Path) -> None:
    done = bench(tmp_path, "--only", "chians")
    assert done.returncode == 2
    assert "no workload is named chians; there are independent, chains, chain, fan" in done.stderr


def test_the_list_names_every_workload(tmp_path: Path) -> None:
    listed = bench(tmp_path, "--list").stdout
    names = [line.split()[0] for line in listed.splitlines()]
    assert names == [
        *("independent", "chains", "chain", "fan", "shapes", "register", "register-bulk"),
        *("capacity", "start", "steady-2000", "steady-50", "steady-80", "replay", "schedules", "memory"),
    ]


def test_stores_without_an_api_are_refused(tmp_path: Path) -> None:
    done = bench(tmp_path, FLOWER_REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 2
    assert "name the API of that deployment with --api" in done.stderr


def test_a_deployment_that_does_not_answer_is_refused(tmp_path: Path) -> None:
    stores = {
        "FLOWER_REDIS_URL": "redis://127.0.0.1:9/0",
        "FLOWER_DATABASE_URL": "postgresql://127.0.0.1:9/x",
    }
    done = bench(tmp_path, "--api", "http://127.0.0.1:9", **stores)
    assert done.returncode == 2
    assert "http://127.0.0.1:9 does not answer" in done.stderr and list(tmp_path.iterdir()) == []


def test_a_running_deployment_is_measured_whatever_fails_and_left_as_it_was(tmp_path: Path) -> None:
    too_many = [{"id": number, "runtime_s": 1} for number in range(MAX_TASKS + 1)]
    home, shapes = tmp_path / "home", shape_file(tmp_path, too_many)
    with up(home, tmp_path / "log") as running:
        running.wait_until_running()
        url = urls(home)["api_url"]
        names = ("--only", "shapes", "--only", "chains", "--only", "steady-2000")
        where = ("--api", url, "--home", str(home), "--shapes", str(shapes))
        done = bench(tmp_path, "--quick", "--seconds", "0.6", *names, *where)
        assert done.returncode == 1, done.stdout + done.stderr
        left = [
            httpx.get(f"{url}{path}", timeout=60, verify=False).json() for path in ("/workflows", "/limits")
        ]
    assert left == [{"workflows": [], "next": None}, {"limits": []}]
    rows = rows_of(tmp_path)
    (failed,) = [row for row in rows if row[0] == "shapes"]
    assert failed[1].startswith("FAILED: BenchError") and "10001 tasks" in failed[1]
    found = {(row[0], row[1]): row for row in rows}
    assert found["chains", "to the last one projected"][6] == "10,000"  # its target
    assert found["chains", "600 tasks"][3] != "-"  # the CPU of its worker, which is on this machine
    assert found["steady-2000", "finish to next start, p99"][4] == "800"  # 0.6 s, two for each flow


def test_ctrl_c_ends_its_own_engine_and_keeps_what_was_measured(tmp_path: Path) -> None:
    # The second one would go on for ten minutes, however long a machine takes to hear of the Ctrl-C.
    names = ("--only", "register-bulk", "--only", "steady-2000")
    words = ("--results", str(tmp_path), "--quick", "--seconds", "600", *names)
    ours, theirs = os.pipe()
    with os.fdopen(ours) as printed:
        with os.fdopen(theirs, "wb") as output:
            process = forked_flower.start(
                *("-m", "flower_cli", "bench", *words), environment=os.environ, output=output
            )
        for line in printed:
            if line.startswith("2/2 steady-2000"):
                break
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        printed.read()
        assert process.wait(timeout=120) == 130
    assert psutil.wait_procs(children, timeout=120)[1] == []
    rows = rows_of(tmp_path)
    assert ["steady-2000", "FAILED: stopped"] in [row[:2] for row in rows]
    measured = {row[1]: row for row in rows if row[0] == "register-bulk"}
    assert {"1 client", "16 clients", "64 clients", "64 clients, a call, p99.9"} <= set(measured)
    assert float(measured["16 clients"][2].replace(",", "")) > 0 and measured["16 clients"][6] == "20,000"
    costs = next(row for row in rows if row[0] == "register-bulk, 16 clients")
    assert costs[2] != "-" and costs[3] == "-"  # Redis was there, no worker was
    floors = [row[0] for row in rows if row[0].startswith(("before", "after"))]
    assert floors[:2] == ["before register-bulk", "after register-bulk"]
    (file,) = tmp_path.glob("*-bench.md")
    assert "\n- commit: " in file.read_text() and "appendfsync always" in file.read_text()


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 1_001)]
    assert [percentile(values, percent) for percent in (0, 50, 99, 99.9, 100)] == [1, 500, 990, 999, 1_000]
    assert percentile([7.0], 50) == percentile([7.0], 99.9) == 7.0


def test_targets_follow_the_floor_where_they_are_of_work() -> None:
    rate = Figure(workload="w", what="rate", value=6_000, unit="tasks/s", target=10_000)
    assert rate.target_here(0.5) == 5_000 and rate.holds(0.5) and not rate.holds(1.0)
    wait = Figure(workload="w", what="wait", value=3, unit="ms", target=2, higher_is_better=False)
    assert wait.target_here(0.5) == 4 and wait.holds(0.5) and not wait.holds(1.0)
    ratio = Figure(workload="w", what="ratio", value=1, unit="times", target=1.3, is_scaled=False)
    assert ratio.target_here(0.5) == 1.3
    assert Figure(workload="w", what="other", value=1, unit="ms").holds(1.0) is None


def test_latency_counts_from_when_a_registration_was_due() -> None:
    single = Answered(1_000_000, 1_500_000, 9_000_000, b'{"taskFlowId":"a"}')
    bulk = Answered(2_000_000, 2_000_000, 9_000_000, b'[{"taskFlowId":"b"},{"taskFlowId":"c"}]')
    stamps = {"a": [4_000_000, 4_500_000], "b": [2_500_000], "c": [3_000_000]}
    assert latencies_ms([single, bulk], stamps) == ([3.0, 0.5, 1.0], [0.5])


def test_a_shape_is_read_with_its_parents_first(tmp_path: Path) -> None:
    tasks: list[dict[str, Any]] = [
        {"id": "end", "parents": ["long", "short"], "runtime_s": 1},
        {"id": "long", "parents": ["begin"], "runtime_s": 5},
        {"id": "short", "parents": [], "runtime_s": 2},
        {"id": "begin", "parents": [], "runtime_s": 1},
    ]
    nodes = read_shape(shape_file(tmp_path, tasks))
    assert all(parent < node.seq for node in nodes for parent in node.parents)
    assert critical_path(nodes) == (7, 3)


def test_the_shapes_of_this_project_can_be_read() -> None:
    folder = Path(__file__).parents[1] / "shapes"
    assert [len(read_shape(file)) for file in sorted(folder.glob("*.json"))] == [310, 58]


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        ([{"id": 1, "parents": [2], "runtime_s": 1}], r"task 1 has parents that are not there: \[2\]"),
        ([{"id": 1, "parents": [1], "runtime_s": 1}], "in a circle"),
        ([{"id": 1}], "is no shape"),
    ],
)
def test_a_wrong_shape_is_refused(tmp_path: Path, tasks: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        read_shape(shape_file(tmp_path, tasks))
