"""Every event that was ever written is still decoded, to what it meant when it was written."""

import json
from pathlib import Path

import msgspec
import pytest

from flower_engine.model.definition import PlannedTask
from flower_engine.model.events import (
    AnyEvent,
    FlowRegistered,
    LogOpened,
    OutcomeRefused,
    TaskError,
    TaskFinished,
    TaskLapsed,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
    decode_event,
    encode_event,
)

EVENTS = Path(__file__).parent / "events"
ONE = "018f3c5e-7a10-7000-8000-000000000001"
TWO = "018f3c5e-7a10-7000-8000-000000000002"

MEANINGS: dict[str, AnyEvent] = {
    "log.opened/*": LogOpened(
        at=1795422380112, installation="0f0b9a52-6a5e-4d52-9c5f-0d9d2c6e6b11", generation=1, partition=0
    ),
    "flow.registered/*-dag": FlowRegistered(
        at=1795422380113,
        flow=ONE,
        v=1,
        workflow='nightly "花" load',
        order=0,
        tasks=(
            PlannedTask(
                seq=1,
                task_seq=10,
                program="Extract",
                parameters={
                    "URL": 'https://example.org/?q="1"',
                    "DEPTH": 3,
                    "DEEP": {"a": [None, True, 1.5]},
                },
            ),
            PlannedTask(seq=2, task_seq=20, program="Load", priority=-5, queue="slow", depends_on=(1,)),
            PlannedTask(seq=3, task_seq=30, program="Tidy"),
            PlannedTask(seq=4, task_seq=40, program="Report", depends_on=(1, 2, 3)),
        ),
    ),
    "flow.registered/*-one-task": FlowRegistered(
        at=1795422380156,
        flow=TWO,
        v=1,
        workflow="w",
        order=4,
        tasks=(PlannedTask(seq=1, task_seq=1, program="Extract"),),
    ),
    "task.started/*": TaskStarted(
        at=1795422380122, flow=ONE, v=2, task=1, attempt=1, lease="1795422380122-0", worker="host-1-ab12"
    ),
    "task.returned/*": TaskReturned(
        at=1795422380125, flow=ONE, v=4, task=1, attempt=1, lease="1795422380122-0"
    ),
    "task.lapsed/*": TaskLapsed(
        at=1795422380137,
        flow=ONE,
        v=5,
        task=3,
        attempt=1,
        lease="1795422380122-1",
        worker="host-1-ab12",
        lost=1,
    ),
    "task.finished/*-result": TaskFinished(
        at=1795422380153,
        flow=ONE,
        v=8,
        task=1,
        attempt=2,
        lease="1795422380140-0",
        result=msgspec.Raw('{"rows":7,"note":"花 \\"q\\"\\n"}'.encode()),
    ),
    "task.finished/*-ends": TaskFinished(
        at=1795422380165, flow=TWO, v=3, task=1, attempt=1, lease="1795422380156-0", ends=True
    ),
    "task.suspended/*-error": TaskSuspended(
        at=1795422380165,
        flow=ONE,
        v=11,
        task=2,
        attempt=1,
        lease="1795422380156-0",
        error=TaskError(type="ValueError", message='no "table"', traceback="line 1\nline 2"),
    ),
    "task.suspended/*-lost": TaskSuspended(
        at=1795422380155,
        flow=ONE,
        v=9,
        task=3,
        attempt=2,
        lease="1795422380140-1",
        lost=2,
        error=TaskError(
            type="WorkerLost",
            message="2 workers were lost while they ran this task, the last one host-2-cd34; it is suspended"
            " so that it takes no more workers with it",
        ),
    ),
    "outcome.refused/*": OutcomeRefused(
        at=1795422380139,
        flow=ONE,
        task=3,
        lease="1795422380122-1",
        worker="host-1-ab12",
        outcome="finished",
    ),
}
"""By event type and name of the file, where ``*`` stands for who wrote it."""

FILES = sorted(EVENTS.rglob("*.json"))
TYPES = sorted(str(kind.__struct_config__.tag) for kind in AnyEvent.__args__)


def meaning_of(file: Path) -> AnyEvent | None:
    variant = file.stem.removeprefix("lua").removeprefix("python")
    return MEANINGS.get(f"{file.parent.name}/*{variant}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_an_event_once_written_still_means_the_same(file: Path) -> None:
    assert decode_event(file.read_bytes()) == meaning_of(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_golden_file_holds_one_event_of_its_folders_type(file: Path) -> None:
    raw = file.read_bytes()
    assert raw.count(b"\n") == 0
    assert json.loads(raw)["type"] == file.parent.name


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("writer", ["lua", "python"])
def test_every_event_type_has_golden_bytes_of_each_writer(kind: str, writer: str) -> None:
    assert list((EVENTS / kind).glob(f"{writer}*.json")), (
        f"no golden file of {kind} as {writer} writes it: see tests/golden/README.md"
    )


def test_every_golden_folder_belongs_to_an_event_type() -> None:
    assert sorted(folder.name for folder in EVENTS.iterdir()) == TYPES


@pytest.mark.parametrize("name", MEANINGS)
def test_what_python_writes_today_is_golden(name: str) -> None:
    written = encode_event(MEANINGS[name])
    assert written in {file.read_bytes() for file in EVENTS.glob(name.replace("*", "python*") + ".json")}
