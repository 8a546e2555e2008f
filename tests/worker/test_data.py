"""Data between tasks as workers bring it: results of others and files; stores of blobs that are away."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from flower_engine.blobs.filesystem_store import MARKER
from flower_engine.log.client import send
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.worker_transitions import live_workers
from scripts.engine import Engine
from worker.running import InProcess, OwnProcess, eventually, row, until, until_settled

PROGRAMS = "worker.data_programs"
Start = Callable[..., InProcess]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store of blobs in a folder."""
    return f"file://{tmp_path}/blobs"


@pytest.fixture
def start(start_worker: Start, store: str) -> Start:
    """Starts a worker of these programs, with the store where no other is given."""

    def started(**given: Any) -> InProcess:
        return start_worker(**{"programs": (PROGRAMS,), "blobs": (store,), **given})

    return started


def result(flow: FlowState, seq: int) -> Any:
    task = flow.task(seq)
    assert task.status is Status.FINISH, task.error
    assert task.result is not None
    return json.loads(task.result)


def error(flow: FlowState, seq: int) -> str:
    task = flow.task(seq)
    assert task.status is Status.SUSPEND, task.status
    assert task.error is not None
    return f"{task.error.type}: {task.error.message}"


@pytest.mark.parametrize(
    ("giver", "taker"),
    [("give_async", "take_thread"), ("give_thread", "take_process"), ("give_process", "take_async")],
)
@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
async def test_results_of_any_size_reach_their_readers(
    engine: Engine, start: Start, giver: str, taker: str, size: int
) -> None:
    start()
    flow = await engine.register(row(1, giver, size=size), row(2, taker, 1, value={"$from": 1}))
    [ended] = await until_settled(engine, flow)
    assert (ended.task(1).blob is not None) == (size > 64 * 1024)
    kind, length = result(ended, 2).split()
    assert (kind, int(length)) == (("list", size // 103) if giver == "give_async" else ("str", size))


async def test_references_pick_parts_and_what_they_give_stays_data(engine: Engine, start: Start) -> None:
    start()
    value = {"rows": [{"n": 2**63, "e": 1.5}], "fake": {"$from": 3}, "text": "é\u2028"}
    flow = await engine.register(
        row(1, "give", value={"$literal": value}),
        row(
            *(2, "echo_all", 1),
            whole={"$from": 1},
            part={"$from": 1, "path": "/rows/0/n"},
            text={"$text": "{n} rows", "n": {"$from": 1, "path": "/rows/0/e"}},
            nested=[{"deep": {"$from": 1, "path": "/text"}}],
            missing={"$from": 1, "path": "/nowhere", "default": {"a": 1}},
            none={"$from": 1, "path": "/nowhere", "optional": True},
        ),
    )
    [ended] = await until_settled(engine, flow)
    assert result(ended, 2) == {
        "whole": value, "part": 2**63, "text": "1.5 rows", "nested": [{"deep": "é\u2028"}],
        "missing": {"a": 1}, "none": None,
    }  # fmt: skip


async def test_numbers_of_any_length_stay_exact(engine: Engine, start: Start) -> None:
    start()
    flow = await engine.register(
        row(1, "give", value=2**200 + 1),
        row(2, "take_int", 1, count={"$from": 1}),
        row(3, "give", value="0.1000000000000000055511151231257827"),
        row(4, "take_decimal", 3, amount={"$from": 3}),
    )
    [ended] = await until_settled(engine, flow)
    assert result(ended, 2) == 2**200 + 2
    assert result(ended, 4) == "0.1000000000000000055511151231257827"


@pytest.mark.parametrize("taker", ["take_int", "take_int_process"])
async def test_a_value_that_does_not_fit_suspends_its_reader(
    engine: Engine, start: Start, taker: str
) -> None:
    start()
    flow = await engine.register(
        row(1, "give", value={"a": ["many"]}), row(2, taker, 1, count={"$from": 1, "path": "/a/0"})
    )
    [ended] = await until_settled(engine, flow)
    assert ended.task(1).status is Status.FINISH
    said = error(ended, 2)
    for part in ("ParameterError", "'count'", "'/a/0' of the result of task 1", "'many'", "int"):
        assert part in said


async def test_a_value_that_is_missing_suspends_its_reader(engine: Engine, start: Start) -> None:
    start()
    flow = await engine.register(
        row(1, "give", value={"a": 1}), row(2, "take_int", 1, count={"$from": 1, "path": "/b"})
    )
    [ended] = await until_settled(engine, flow)
    said = error(ended, 2)
    for part in ("MissingInputError", "'/b' of the result of task 1", "'count'"):
        assert part in said


async def test_a_blob_that_is_gone_suspends_its_reader(engine: Engine, start: Start, tmp_path: Path) -> None:
    worker = start()
    flow = await engine.register(row(1, "give_thread", size=100_000))
    [ended] = await until_settled(engine, flow)
    await worker.stop()
    [stored] = (tmp_path / "blobs").glob("??/*")
    stored.unlink()
    ref = ended.task(1).blob
    assert ref is not None
    start()
    given = {"$blob": {"sha256": ref.sha256, "bytes": ref.bytes, "store": ref.store}}
    again = await engine.register(row(1, "weigh", file=given, sha256=ref.sha256))
    [ended] = await until_settled(engine, again)
    assert "MissingBlobError" in error(ended, 1)


async def test_results_above_the_bound_need_a_store(engine: Engine, start: Start) -> None:
    start(blobs=())
    flow = await engine.register(
        row(1, "give_thread", size=500_000), row(2, "take_thread", 1, value={"$from": 1})
    )
    large = await engine.register(row(1, "give_thread", size=2_000_000))
    file = await engine.register(row(1, "make_blob", size=10))
    [kept, refused, lost] = await until_settled(engine, flow, large, file)
    assert kept.task(1).blob is None
    assert result(kept, 2) == "str 500000"
    assert "FLOWER_BLOBS" in error(refused, 1)
    assert "FLOWER_BLOBS" in error(lost, 1)


@pytest.mark.parametrize("maker", ["make_file", "make_file_process"])
async def test_files_are_results_and_parameters(
    engine: Engine, start: Start, tmp_path: Path, maker: str
) -> None:
    start()
    flow = await engine.register(
        row(1, maker, folder=str(tmp_path), size=3_000_000),
        row(
            *(2, "weigh", 1),
            file={"$from": 1, "path": "/file"}, sha256={"$from": 1, "path": "/sha256"},
        ),
        row(3, "weigh_process", 1, file={"$from": 1, "path": "/file"}, folder=str(tmp_path)),
    )  # fmt: skip
    [ended] = await until_settled(engine, flow)
    assert result(ended, 1)["file"]["$blob"]["bytes"] == 3_000_000
    assert (result(ended, 2), result(ended, 3)) == (3_000_000, 3_000_000)


async def test_a_file_is_read_beside_the_event_loop_and_may_be_passed_on(
    engine: Engine, start: Start
) -> None:
    start()
    flow = await engine.register(
        row(1, "make_blob", size=100),
        row(2, "read_on_the_loop", 1, files={"$from": 1}),
        row(3, "read_beside_the_loop", 1, files={"$from": 1}),
        row(4, "pass_on", 1, files={"$from": 1}),
    )
    flows = await until(
        engine, lambda flows: flow in flows and all(is_over(flows[flow], seq) for seq in (2, 3, 4))
    )
    ended = flows[flow]
    assert "asyncio.to_thread" in error(ended, 2)
    assert result(ended, 3) == 100
    assert result(ended, 4) == result(ended, 1)[0]


def is_over(flow: FlowState, seq: int) -> bool:
    return flow.task(seq).status in (Status.FINISH, Status.SUSPEND)


async def due(engine: Engine, flow: str) -> float:
    """When the attempt of task 1 takes too long."""
    return float(await send(engine.client, "ZSCORE", engine.keys.timers, f"a:{flow}:1"))


async def waits(engine: Engine, text: str) -> bool:
    return any(
        text in one for info in await live_workers(engine.client, engine.partition) for one in info.transfers
    )


class Broken:
    """A store whose folder is a file, or an empty one, as of a disk that is not mounted: nothing is
    written or read there until it is mended."""

    def __init__(self, folder: Path, *, is_empty: bool = False) -> None:
        self.folder = folder
        self.aside = folder.with_name("aside")
        self.is_empty = is_empty

    def break_it(self) -> None:
        if self.folder.exists():
            self.folder.rename(self.aside)
        if self.is_empty:
            self.folder.mkdir()
        else:
            self.folder.write_text("no folder")

    def mend(self) -> None:
        if self.is_empty:
            self.folder.rmdir()  # which fails where somebody has written there
        else:
            self.folder.unlink()
        if self.aside.exists():
            self.aside.rename(self.folder)


@pytest.mark.parametrize("giver", ["give_async", "give_thread", "give_process", "make_file_process"])
async def test_a_store_that_is_away_delays_an_outcome_and_stops_its_timer(
    engine: Engine, start: Start, tmp_path: Path, giver: str
) -> None:
    broken = Broken(tmp_path / "blobs")
    broken.break_it()
    start()
    given: dict[str, Any] = {"folder": str(tmp_path)} if giver == "make_file_process" else {}
    large = await engine.register(row(1, giver, timeout_ms=600_000, size=200_000, **given))
    await eventually(lambda: waits(engine, "cannot be used"))
    small = await engine.register(row(1, "give", value=1))  # others go on
    [ended] = await until_settled(engine, small)
    assert result(ended, 1) == 1
    before = await due(engine, large)

    async def stands_still() -> bool:
        return await due(engine, large) > before + 600

    await eventually(stands_still)  # for many heartbeats
    broken.mend()
    [ended] = await until_settled(engine, large)
    task = ended.task(1)
    assert (task.status, task.attempt, task.lost) == (Status.FINISH, 1, 0)
    await eventually(lambda: no_transfer(engine))


async def no_transfer(engine: Engine) -> bool:
    return not any(info.transfers for info in await live_workers(engine.client, engine.partition))


@pytest.mark.parametrize(
    ("taker", "is_empty"), [("take_async", False), ("take_thread", True), ("take_process", True)]
)
async def test_a_store_that_is_away_delays_a_reader(
    engine: Engine, start: Start, tmp_path: Path, taker: str, is_empty: bool
) -> None:
    broken = Broken(tmp_path / "blobs", is_empty=is_empty)
    start()
    flow = await engine.register(
        row(1, "give_thread", size=200_000),
        row(2, "wait_for_file", 1, file=str(tmp_path / "go")),
        row(3, taker, 1, 2, value={"$from": 1}),
    )
    await until(engine, lambda flows: flow in flows and flows[flow].task(1).status is Status.FINISH)
    broken.break_it()
    (tmp_path / "go").touch()
    await eventually(lambda: waits(engine, "reads the result of task 1"))
    broken.mend()
    [ended] = await until_settled(engine, flow)
    assert result(ended, 3) == "str 200000"
    assert ended.task(3).attempt == 1


async def test_a_worker_begins_a_store_and_nobody_writes_to_what_lies_in_its_place(
    engine: Engine, start: Start, tmp_path: Path
) -> None:
    broken = Broken(tmp_path / "blobs", is_empty=True)
    start()
    await eventually(has_begun(tmp_path / "blobs"))
    broken.break_it()
    flow = await engine.register(row(1, "make_file_process", folder=str(tmp_path), size=200_000))
    await eventually(lambda: waits(engine, "is not there"))
    broken.mend()
    [ended] = await until_settled(engine, flow)
    assert ended.task(1).status is Status.FINISH
    assert len(list((tmp_path / "blobs").glob("??/*"))) == 1


def has_begun(folder: Path) -> Callable[[], Awaitable[bool]]:
    async def begun() -> bool:
        return (folder / MARKER).exists()

    return begun


async def test_a_worker_that_is_killed_while_it_stores_loses_nothing(
    engine: Engine, spawn_worker: Callable[..., OwnProcess], tmp_path: Path, store: str
) -> None:
    broken = Broken(tmp_path / "blobs")
    broken.break_it()
    first = spawn_worker(programs=(PROGRAMS,), blobs=(store,))
    flow = await engine.register(
        row(1, "give_thread", size=200_000), row(2, "take_thread", 1, value={"$from": 1})
    )
    await eventually(lambda: waits(engine, "stores its result"))
    first.kill()
    broken.mend()
    spawn_worker(programs=(PROGRAMS,), blobs=(store,))

    async def has_lapsed() -> bool:
        return bool((await engine.lapse(lease_ms=1_000)).lapses)

    await eventually(has_lapsed)
    [ended] = await until_settled(engine, flow)
    assert result(ended, 2) == "str 200000"
    assert ended.task(1).attempt == 2


async def test_a_worker_decides_whatever_it_serves(engine: Engine, start: Start) -> None:
    await engine.attend("default")
    start()
    flow = await engine.register(
        row(1, "Elsewhere"),
        row(2, "@when", 1, condition=["gt", {"$from": 1}, 2]),
        TaskDefinition(
            task_seq=3, program="give_thread", depends_on=(), when=(2, True), parameters={"size": 1}
        ),
        TaskDefinition(task_seq=4, program="Elsewhere", depends_on=(), when=(2, False)),
    )
    (claim,) = await engine.claim(programs=["Elsewhere"])
    await engine.finish(claim, payload=b"3")
    (found,) = await until_settled(engine, flow)
    assert found.task(2).result == b'{"is":true,"values":{"task(1)":3}}'
    assert [task.status for task in found.tasks[2:]] == [Status.FINISH, Status.IGNORE]


async def test_a_condition_may_read_what_lies_in_a_store_of_blobs(engine: Engine, start: Start) -> None:
    start()
    flow = await engine.register(
        row(1, "give_async", size=5_000_000),
        row(2, "@when", 1, condition=["in", "x" * 100, {"$from": 1}]),
        TaskDefinition(
            task_seq=3, program="give_thread", depends_on=(), when=(2, True), parameters={"size": 1}
        ),
    )
    (found,) = await until_settled(engine, flow)
    assert found.task(1).blob is not None
    assert found.task(3).status is Status.FINISH, found.task(2).error
