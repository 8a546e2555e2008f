"""Whatever an outcome holds, it is handed in: no program's error, result or note keeps its task Running."""

from collections.abc import Callable
from typing import Any

import pytest

from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.tasks.status import Status
from scripts.engine import Engine
from worker.hostile_programs import HOSTILE, RESULTS
from worker.running import InProcess, eventually, row, the_worker, until

KINDS = ("async", "thread", "process")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_breaks_its_own_report_has_an_outcome_and_frees_its_slot(
    engine: Engine, start_worker: Callable[..., InProcess], kind: str
) -> None:
    harms: list[dict[str, Any]] = [
        *({"raises": what} for what in HOSTILE),
        *({"returns": what} for what in RESULTS),
        {"tells": "note"},
    ]
    rows: list[TaskDefinition] = [
        *(row(seq, f"hostile_{kind}", **harm) for seq, harm in enumerate(harms, start=1)),
        row(len(harms) + 1, f"convert_{kind}", value=1),
    ]
    flow = await engine.register(*rows)
    worker = start_worker(programs=("worker.hostile_programs",), concurrency=4, processes=1)
    retrying = {"no time", "broken time"}
    await until(
        engine,
        lambda flows: all(
            task.status in (Status.SUSPEND, Status.FINISH) or task.failures for task in flows[flow].tasks
        ),
    )
    tasks = (await engine.flow(flow)).tasks
    for harm, task in zip(harms, tasks, strict=False):
        wanted = Status.SUSPEND
        if harm.get("raises") in retrying:
            wanted = Status.WAIT
        elif harm.get("returns") in ("text", "keys") or "tells" in harm:
            wanted = Status.FINISH
        assert task.status is wanted, harm
    assert tasks[-1].error is not None and tasks[-1].error.type == "SystemExit"
    assert not worker.task.done()

    async def nothing_runs() -> bool:
        return (await the_worker(engine)).running == 0

    await eventually(nothing_runs)
