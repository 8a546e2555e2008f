"""Writes the data of the version of Flower that runs this, with flows under way; see ``README.md``."""

import gzip
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compat.old_engine import OldEngine

_WIDTH = 1_200  # more than two steps of a release take
_SOON_SECONDS = 6.0  # then something happens that the next version is to see
_LATE = "2100-01-01T00:00:00Z"


def _task(seq: int, *depends_on: int, program: str = "step", **more: Any) -> dict[str, Any]:
    return {"taskSeq": seq, "program": program, "dependsOn": list(depends_on), **more}


WORKFLOWS: Mapping[str, dict[str, Any]] = {
    "chain": {"tasks": [_task(1, parameters={"note": ""}), _task(2, 1), _task(3, 2)]},
    "diamond": {"tasks": [_task(1), _task(2, 1, program="hang"), _task(3, 1), _task(4, 2, 3)]},
    "timed": {"tasks": [_task(1, program="hang", timeoutSeconds=600), _task(2, 1)], "timeoutSeconds": 3_600},
    "thread": {"tasks": [_task(1, program="hang_on_a_thread"), _task(2, 1)]},
    "process": {"tasks": [_task(1, program="hang_in_a_process"), _task(2, 1)]},
    "failing": {"tasks": [_task(1), _task(2, 1, program="fail"), _task(3, 2), _task(4, 1)]},
    "retrying": {
        "tasks": [
            _task(1, program="fail", retry={"maxAttempts": 5, "delaySeconds": 60, "jitter": 0}),
            _task(2, 1),
        ]
    },
    "wide": {
        "tasks": [
            _task(1, queue="wide"),
            *(_task(seq, 1, queue="wide") for seq in range(2, _WIDTH + 2)),
            _task(_WIDTH + 2, *range(2, _WIDTH + 2)),
        ]
    },
    "held": {"tasks": [_task(1, queue="held"), _task(2, 1)]},
    "overdue": {"tasks": [_task(1, queue="held", queueTimeoutSeconds=_SOON_SECONDS), _task(2, 1)]},
    "late": {"tasks": [_task(1, queue="held"), _task(2, 1)], "timeoutSeconds": _SOON_SECONDS},
    "limited": {"tasks": [_task(1, program="limited", parameters={"customer": 0}, units=2), _task(2, 1)]},
    "rated": {"tasks": [_task(1, queue="rated")]},
    "single": {"tasks": [_task(1, program="hang"), _task(2, 1)]},
    "counted": {"tasks": [_task(1, program="fail"), _task(2, 1)]},
    "fair": {
        "tasks": [_task(1, queue="held", parameters={"customer": 0}), _task(2, 1, queue="held")],
    },
}
LIMITS: Mapping[str, dict[str, Any]] = {
    "program/limited": {"maxRunning": 4, "limitBy": "customer", "maxPerKey": 2},
    "workflow/rated": {"rate": 2, "ratePeriodSeconds": 4},
    "workflow/single": {"maxFlows": 1},
    "workflow/counted": {"maxFlows": 1, "countSuspended": True},
    "workflow/fair": {"weight": 3, "fairBy": "customer"},
}


def define(old: OldEngine) -> None:
    """All workflows and limits; queue ``held`` is paused."""
    for workflow, definition in WORKFLOWS.items():
        old.put(f"/workflows/{workflow}", definition)
    for name, limit in LIMITS.items():
        old.put(f"/limits/{name}", limit)
    old.command("hold", "queue", "held", "--reason", "until the next version")


def end_and_park(old: OldEngine) -> None:
    """Flows that have ended, were pruned or are parked; the services are told to be quick with parking."""
    with old.worker("default"):
        old.register("pruned", "chain")
        old.wait_for("an end", lambda: bool(old.get("/flows", taskId="chain", status="Finish")["flows"]))
        old.register("held-beside-a-prune", "held")  # what lies at the projected position stays
        old.wait_for("a flow", lambda: bool(old.get("/flows", taskId="held")["flows"]))
        old.prune()
        del old.flows["pruned"]
        old.register("ended", "chain", parameters={"note": "of a registration"}, key="of what is ended")
        old.register("rerun-and-ended", "chain")
        old.register("parked", "failing", key="of what is parked")
        old.register("parked-and-cancelled", "failing")
        for label in ("ended", "rerun-and-ended"):
            old.wait_until(label, "Finish", "Finish", "Finish")
        old.operate("rerun-and-ended", "rerun", tasks=[2], scope="dependents")
        for label in ("parked", "parked-and-cancelled"):
            old.wait_until(label, "Finish", "Suspend", "Wait", "Finish")
            old.wait_until_parked(label)
        old.command("cancel", "parked-and-cancelled", "--reason", "not this month")
        old.wait_until("rerun-and-ended", "Finish 1", "Finish 2", "Finish 2")


def bring_under_way(old: OldEngine) -> None:
    """Flows that a worker, which is then killed, has brought as far as they are to come."""
    with old.worker("default", "rated", "held"):
        for label in ("running", "prioritised", "paused", "cancelled", "forked", "unignored"):
            old.register(label, "diamond", priority=-3)
        old.register("timed", "timed", key="of what is timed")
        old.register("thread", "thread")
        old.register("process", "process", taskParameters={"1": {"times": 0}})
        old.register("lost-once", "process")
        old.register("poison", "process", taskParameters={"1": {"times": 9}})
        for label in ("suspended", "ignored", "rerun"):
            old.register(label, "failing")
        for number in range(1, 5):
            old.register(f"limited-{number}", "limited", parameters={"customer": number // 2})
        for number in range(1, 4):
            old.register(f"single-{number}", "single", key=f"single {number}")
        for number in range(1, 3):
            old.register(f"counted-{number}", "counted")
        for number in range(1, 4):
            old.register(f"fair-{number}", "fair", parameters={"customer": number // 2})
        old.register("struck", "fair", parameters={"customer": 4711})
        operate(old)
        old.register("retrying", "retrying")
        for number in range(1, 6):
            old.register(f"rated-{number}", "rated")
        wait_until_all_hang(old)


def operate(old: OldEngine) -> None:
    """What an operator does to them."""
    for label in ("running", "prioritised", "paused", "cancelled", "forked", "unignored"):
        old.wait_until(label, "Finish", "Running", "Finish", "Wait")
    for label in ("suspended", "ignored", "rerun"):
        old.wait_until(label, "Finish", "Suspend", "Wait", "Finish")
    old.command("priority", "prioritised", "7")
    old.command("pause", "paused", "--reason", "somebody looks at it")
    old.operate("cancelled", "cancel", reason="cancelled while it ran")
    old.flows["fork"] = old.command(
        "fork", "forked", "--from", "2", "--from", "4", "--task-param", "4:note=forked"
    )
    old.flows["fork-of-ended"] = old.operate("ended", "fork", fromTasks=[3])["taskFlowId"]
    old.operate("unignored", "ignore", tasks=[4], reason="no need")
    old.operate("unignored", "unignore", tasks=[4])
    old.command("ignore", "ignored", "3", "--reason", "not now")
    old.operate("rerun", "rerun", tasks=[2], parameters={"table": "customers"})
    old.command("strike", "step", "customer=4711", "--reason", "they left")


def wait_until_all_hang(old: OldEngine) -> None:
    """Nothing goes on any more."""
    for label in ("timed", "thread", "process", "single-1", "limited-1", "limited-2"):
        old.wait_until(label, "Running 1", "Wait")
    old.wait_until("lost-once", "Running 2", "Wait")
    for label in ("poison", "counted-1"):
        old.wait_until(label, "Suspend", "Wait")
    old.wait_until("rerun", "Finish", "Suspend 2", "Wait", "Finish")
    old.wait_until("struck", "Ignore", "Wait")
    old.wait_until("fork", "Finish", "Running", "Finish", "Wait")
    old.wait_until("fork-of-ended", "Finish", "Finish", "Finish")
    old.wait_until("retrying", "Wait 1", "Wait")
    old.wait_for("progress", lambda: "rows" in json.dumps(old.get(f"/flows/{old.flows['running']}")))
    for label in ("rated-1", "rated-2"):
        old.wait_until(label, "Finish")


def leave(old: OldEngine) -> None:
    """What no worker sees any more: a release that is half done, timers, and what is not projected."""
    old.register("wide", "wide")
    with old.worker("wide", FLOWER_CRASH_AT="exchange.claimed:2") as worker:
        old.wait_for("the end of the worker", lambda: worker.poll() is not None)
    old.flows["delayed-to-a-date"] = old.command("register", "chain", "--start-at", _LATE)
    old.register("waiting", "chain")
    old.register("held", "held")
    for label in ("overdue", "late"):
        old.register(label, label)
    old.register("delayed", "chain", delaySeconds=_SOON_SECONDS)
    old.kill("projector", "watcher")
    for label in ("unprojected", "unprojected-and-paused", "unprojected-and-cancelled"):
        old.register(label, "chain", key=f"of what is {label}")
    old.operate("unprojected-and-paused", "pause")
    old.operate("unprojected-and-cancelled", "cancel")


def go_behind_a_gap(old: OldEngine) -> None:
    """Postgres is set back to before a part of the history that the log has no more."""
    with old.worker("default"):
        for number in range(1, 7):
            old.register(f"known-{number}", "diamond", key=f"of what is known-{number}")
            old.register(f"ended-{number}", "chain")
            old.wait_until(f"known-{number}", "Finish", "Running", "Finish", "Wait")
            old.wait_until(f"ended-{number}", "Finish", "Finish", "Finish")
        ends, backup = old.ends_of_logs(), old.dump_postgres()
        old.operate("known-1", "cancel")
        for number in range(1, 7):
            old.register(f"found-{number}", "diamond")
            old.register(f"failed-{number}", "failing")
            old.wait_until(f"found-{number}", "Finish", "Running", "Finish", "Wait")
            old.wait_until(f"failed-{number}", "Finish", "Suspend", "Wait", "Finish")
        while not old.are_trimmed(ends):
            old.register("unseen", "chain")
            old.wait_until("unseen", "Finish", "Finish", "Finish")
        del old.flows["unseen"]
    old.kill("projector", "watcher", "api")
    old.set_postgres_back(backup)


def write_bridged(folder: Path) -> None:
    """Three partitions, a part of whose history is lost: flows were found as they stood, or closed."""
    with tempfile.TemporaryDirectory(prefix="flower-compat-") as work:
        old = OldEngine(Path(work), FLOWER_PARTITIONS="3", FLOWER_LOG_TAIL_EVENTS="1")
        with old.running():
            for workflow in ("chain", "diamond", "failing"):
                old.put(f"/workflows/{workflow}", WORKFLOWS[workflow])
            go_behind_a_gap(old)
        with old.running():
            count = ("psql", "-At", "-c", "SELECT count(*) FROM kr_gap")
            old.wait_for("the gaps to be bridged", lambda: old.command(*count) == "3")
            old.wait_for("the gaps to be crossed", lambda: all(map(old.is_listed, old.flows)))
            with old.worker("default"):
                for number in range(1, 4):
                    old.register(f"behind-{number}", "diamond")
                    old.wait_until(f"behind-{number}", "Finish", "Running", "Finish", "Wait")
            keep(old, folder)


def keep(old: OldEngine, folder: Path) -> None:
    """Writes the three files."""
    old.kill("projector", "watcher")
    states = {label: old.state(label) for label in old.flows}
    old.kill("api")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("redis.json", old.dump_redis()), ("postgres.sql", old.dump_postgres())):
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    lines = ",\n".join(f'"{label}": {json.dumps(state)}' for label, state in states.items())
    (folder / "flows.json").write_text(f"{{\n{lines}\n}}\n")


def write(folder: Path) -> None:
    """One partition, with flows of every kind."""
    with tempfile.TemporaryDirectory(prefix="flower-compat-") as work:
        old = OldEngine(Path(work))
        with old.running(FLOWER_PARK_HOURS="0.0002"):
            define(old)
            end_and_park(old)
        with old.running():
            bring_under_way(old)
            leave(old)
            keep(old, folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]) / "every-kind")
    write_bridged(Path(sys.argv[1]) / "bridged")
