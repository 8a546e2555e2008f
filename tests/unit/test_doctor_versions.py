"""`flower doctor` says which ready tasks no live version of their program takes."""

import pytest

from flower_engine.doctor.of_tasks import unserved
from flower_engine.doctor.subject import Subject
from flower_engine.insight.overview import LaneNow, Overview
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.transitions.worker_transitions import WorkerInfo

FLOW = make_flow_id(1, 0, 1)


def worker(version: str, *, tells: bool = True) -> WorkerInfo:
    return WorkerInfo(
        worker=f"w-{version}",
        host="h",
        pid=1,
        started_ms=0,
        slots=1,
        queues=("own",),
        programs=("add",),
        signatures=version,
        tells_version=tells,
    )


@pytest.mark.parametrize(
    ("live", "is_told"),
    [
        ([worker("v1")], True),
        ([worker("v1"), worker("v2")], True),
        ([worker("v1"), worker("v3")], False),
        ([worker("v3")], False),
    ],
)
async def test_tasks_that_all_live_versions_refuse_are_told(live: list[WorkerInfo], is_told: bool) -> None:
    lane = LaneNow(
        queue="own",
        priority=0,
        workflow="w",
        program="add",
        key="",
        waiting=3,
        flow=FLOW,
        task=1,
        first_ms=0,
        board="|@add@v1.v2",
        kept_from=("v1", "v2"),
    )
    overview = Overview(
        now_ms=1,
        queues=[],
        lanes=[lane],
        is_whole=True,
        limits={},
        running={},
        starts=0,
        finishes=0,
        window_ms=1,
    )
    subject = Subject(load_settings(), {}, workers=live, overviews=[overview])
    (found,) = await unserved(subject)
    assert (found.state == "problem") == is_told
    if is_told:
        assert found.detail.startswith("3 ready tasks wait for another version of program add of queue own")
        assert FLOW in found.advice
