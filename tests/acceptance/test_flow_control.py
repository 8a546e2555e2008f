"""Flow control with real workers, judged from the log."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from acceptance.running import PATIENT, WAITING, RunningEngine
from flower_engine.model.events.attempt_events import TaskFinished, TaskLapsed, TaskReturned, TaskStarted
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.model.events.operator_events import TaskIgnored

ALL = ("api", "projector", "watcher", "worker")
SLEEP = "EchoParamTimeSleep"


def nap(seq: int, seconds: float, **settings: Any) -> dict[str, Any]:
    parameters = {"SLEEP_TIME_SECOND": str(seconds)}
    return {"taskSeq": seq, "program": SLEEP, "parameters": parameters, **settings}


def limit(engine: RunningEngine, path: str, **settings: Any) -> None:
    engine.ask("PUT", f"/limits/{path}", settings)


def held(seq: int, folder: Path, **settings: Any) -> dict[str, Any]:
    """A task that runs until there is a file ``go`` in the folder."""
    return {"taskSeq": seq, "program": "wait_async", "parameters": {"folder": str(folder)}, **settings}


def wait_for_running(engine: RunningEngine, count: int) -> None:
    """Waits until workers run so many tasks."""

    def is_running() -> bool:
        workers: list[dict[str, Any]] = engine.client.get("/workers").json()["workers"]
        return sum(worker["running"] for worker in workers) == count

    engine.wait_for(f"{count} tasks to run", is_running)


def running_at_once(events: Sequence[AnyEvent]) -> list[int]:
    """How many tasks ran after each claim: after the last of starts that follow each other."""
    running: set[tuple[str, int]] = set()
    counts: list[int] = []
    for event, following in pairwise([*events, None]):
        if isinstance(event, TaskStarted):
            running.add((event.flow, event.task))
            if not isinstance(following, TaskStarted):
                counts.append(len(running))
        elif isinstance(event, TaskFinished | TaskLapsed | TaskReturned):
            running.discard((event.flow, event.task))
    return counts


def test_a_limit_of_three_holds_through_kills_and_is_used_up(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, "worker-2") as engine:
        engine.define("naps", [nap(1, 0.02)])
        limit(engine, f"program/{SLEEP}", maxRunning=3)
        flows = engine.register("naps", 300)
        engine.wait_until_some_ended(flows, 60)
        engine.kill("worker-2")
        engine.start("worker-3")
        engine.wait_until_some_ended(flows, 120)
        engine.kill_valkey()
        engine.restart_stores()
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    counts = running_at_once(verdict.events)
    assert max(counts) == 3
    assert counts.count(3) > len(counts) * 0.8, "freed units are taken by the call that frees them"


def test_with_a_limit_of_one_two_flows_of_a_workflow_never_run_at_once(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, "worker-2", **PATIENT) as engine:
        engine.define("pair", [nap(1, 0.01, dependsOn=[]), nap(2, 0.01, dependsOn=[])])
        limit(engine, "workflow/pair", maxFlows=1)
        flows = engine.register("pair", 40)
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    order = [event.flow for event in verdict.events if isinstance(event, TaskStarted)]
    assert sum(one != other for one, other in pairwise(order)) == len(flows) - 1


def test_nothing_starts_in_a_pause_and_everything_ends_after_it(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, FLOWER_CONCURRENCY="16", **PATIENT, **WAITING) as engine:
        engine.define("held", [held(seq, tmp_path) for seq in (1, 2)])
        flows = engine.register("held", 200)
        wait_for_running(engine, 16)
        limit(engine, "workflow/held", isPaused=True)
        (tmp_path / "go").touch()
        wait_for_running(engine, 0)  # sixteen slots are free, and whatever is ready could start
        engine.ask("DELETE", "/limits/workflow/held")
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    kinds = [event.__struct_config__.tag for event in verdict.events]
    paused = kinds.index("control.changed")
    resumed = len(kinds) - 1 - kinds[::-1].index("control.changed")
    assert kinds[:paused].count("task.started") == 16
    assert "task.started" not in kinds[paused:resumed]
    assert kinds[paused:resumed].count("task.finished") == 16
    assert "task.started" in kinds[resumed:]


def test_an_urgent_flow_is_the_next_that_starts(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, FLOWER_CONCURRENCY="16", **PATIENT, **WAITING) as engine:
        engine.define("low", [held(1, tmp_path, taskPriority=5)])
        engine.define("urgent", [nap(1, 0.0, taskPriority=-5)])
        flows = engine.register("low", 200)
        wait_for_running(engine, 16)
        (urgent,) = engine.register("urgent", 1)
        (tmp_path / "go").touch()
        engine.wait_until_ended([*flows, urgent])
        verdict = engine.verify()
    assert verdict.problems == []
    at = next(
        index
        for index, event in enumerate(verdict.events)
        if isinstance(event, FlowRegistered) and event.flow == urgent
    )
    after = [event for event in verdict.events[at:] if isinstance(event, TaskStarted)]
    assert after[0].flow == urgent
    assert len(after) == 1 + 200 - 16, "many were waiting"


def test_two_workflows_share_alike_however_much_each_has(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, "api", "projector", "watcher", **PATIENT) as engine:
        for name in ("much", "little"):
            engine.define(name, [nap(1, 0.002)])
        much = engine.register("much", 3_000)
        little = engine.register("little", 300)
        engine.start("worker")
        engine.wait_until_ended([*much, *little])
        verdict = engine.verify()
    assert verdict.problems == []
    is_little = set(little)
    starts = [event.flow in is_little for event in verdict.events if isinstance(event, TaskStarted)]
    last = max(index for index, value in enumerate(starts) if value)
    counts = Counter(sum(starts[first : first + 200]) for first in range(last - 200))
    assert min(counts) >= 84
    assert max(counts) <= 116


def test_in_any_period_no_more_start_than_the_rate_and_all_of_it_is_used(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, "worker-2", **PATIENT) as engine:
        engine.define("naps", [nap(1, 0.0)])
        limit(engine, f"program/{SLEEP}", rate=20, ratePeriodSeconds=0.5)
        flows = engine.register("naps", 80)
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    starts = [event.at for event in verdict.events if isinstance(event, TaskStarted)]
    assert all(later - first >= 500 for first, later in zip(starts, starts[20:], strict=False))


def test_of_waiting_flows_the_one_further_ahead_goes_first(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, "api", "projector", "watcher", **PATIENT) as engine:
        engine.define("line", [nap(seq, 0.001) for seq in (1, 2, 3)])
        flows = engine.register("line", 100)
        engine.start("worker", "--concurrency", "1")
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    order = [event.flow for event in verdict.events if isinstance(event, TaskStarted)]
    assert order == [flow for flow in flows for _ in range(3)]


def test_what_is_struck_never_starts_and_what_is_behind_it_goes_on(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, FLOWER_CONCURRENCY="4", **PATIENT) as engine:
        for name, seconds in (("kept", 0.01), ("gone", 0.011)):
            engine.define(name, [nap(1, seconds), {"taskSeq": 2, "program": "Noop"}])
        limit(engine, f"program/{SLEEP}", isPaused=True)
        gone, kept = engine.register("gone", 200), engine.register("kept", 20)
        struck = engine.flower("strike", SLEEP, 'SLEEP_TIME_SECOND="0.011"', "--reason", "left")
        assert struck.returncode == 0, struck.stderr
        engine.wait_until_ended(gone)
        engine.ask("DELETE", f"/limits/program/{SLEEP}")
        gone += engine.register("gone", 5)
        engine.wait_until_ended([*gone, *kept])
        verdict = engine.verify()
    assert verdict.problems == []
    ignored = {event.flow for event in verdict.events if isinstance(event, TaskIgnored)}
    started = {event.flow for event in verdict.events if isinstance(event, TaskStarted) and event.task == 1}
    assert (ignored, started) == (set(gone), set(kept))
