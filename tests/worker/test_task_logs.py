"""What programs print and log is in the log of their attempt, each line once; nothing that they do to their
streams, and nothing that Redis does, holds an outcome up."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flower_engine.log.client import send
from flower_engine.task_logs.chunks import Chunk, decode_entry
from flower_engine.task_logs.lines import MAX_TEXT_BYTES, Line
from scripts.engine import Engine
from worker.running import InProcess, OwnProcess, eventually, row, until_settled

PRINTING = "worker.printing_programs"
Start = Callable[..., InProcess]
Spawn = Callable[..., OwnProcess]


async def chunks(engine: Engine) -> list[Chunk]:
    entries = await send(engine.client, "XRANGE", engine.keys.tasklog, "-", "+")
    found = [chunk for _, fields in entries for chunk in decode_entry(fields)]
    assert all(isinstance(chunk, Chunk) for chunk in found), found
    return [chunk for chunk in found if isinstance(chunk, Chunk)]


async def logs(engine: Engine) -> dict[tuple[str, int], list[Line]]:
    """The lines by flow and task, as they were sent."""
    found: dict[tuple[str, int], list[Line]] = defaultdict(list)
    for chunk in await chunks(engine):
        assert chunk.attempt == 1
        found[chunk.flow, chunk.task] += chunk.lines
    return found


async def texts(engine: Engine, flow: str, task: int = 1) -> list[str]:
    lines = (await logs(engine))[flow, task]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    return [line.text for line in lines]


async def until_written(engine: Engine, flow: str, last: str, task: int = 1) -> list[str]:
    async def there() -> bool:
        return last in [line.text for line in (await logs(engine))[flow, task]]

    await eventually(there)
    return await texts(engine, flow, task)


async def test_each_line_of_many_tasks_that_print_at_once_is_in_the_log_of_its_own_exactly_once(
    engine: Engine, start_worker: Start
) -> None:
    rows = [row(seq, "interleave", mark=f"<{seq}>", lines=20) for seq in range(1, 201)]
    flow = await engine.register(*rows)
    worker = start_worker(programs=(PRINTING,), concurrency=200)
    await until_settled(engine, flow)
    await worker.stop()
    found = await logs(engine)
    for seq in range(1, 201):
        lines = found[flow, seq]
        assert [line.number for line in lines] == list(range(1, len(lines) + 1))
        assert [line.text for line in lines if line.stream == "out"] == [
            f"<{seq}> line {number}" for number in range(20)
        ]
        assert [line.text for line in lines if line.stream == "err"] == [
            f"<{seq}> err {number}" for number in range(0, 20, 3)
        ]


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_output_logging_and_warnings_of_a_program_are_lines_of_its_attempt(
    engine: Engine, spawn_worker: Spawn, kind: str
) -> None:
    flow = await engine.register(row(1, f"say_{kind}"))
    worker = spawn_worker(programs=(PRINTING,))
    await until_settled(engine, flow)
    await worker.stop()
    lines = (await logs(engine))[flow, 1]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    found = {line.text.partition("\n")[0]: line for line in lines}
    printed, to_err, logged = found["printed"], found["to err"], found["logged well"]
    assert (printed.stream, printed.level, printed.logger) == ("out", 20, "")
    assert (to_err.stream, to_err.level, to_err.logger) == ("err", 30, "")
    assert (logged.stream, logged.level, logged.logger) == ("log", 30, "some.library")
    assert logged.text == "logged well\nin two lines"
    failed = found["it failed"]
    assert failed.level == 40
    assert failed.text.startswith("it failed\nTraceback")
    assert failed.text.endswith("ValueError: inner")
    (warned,) = [line for line in lines if line.logger == "py.warnings"]
    assert "UserWarning: be careful" in warned.text
    assert warned.level == 30
    assert "no end" in found
    assert "too fine" not in found
    order = [line.text.partition("\n")[0] for line in lines if line.stream != "err"]
    assert (
        order.index("printed") < order.index("logged well") < order.index("it failed") < order.index("no end")
    )
    if kind == "async":
        assert {"from a thread of asyncio", "from another task"} <= set(found)


async def test_threads_that_a_program_starts_write_to_its_log(engine: Engine, start_worker: Start) -> None:
    rows = [row(seq, "in_threads", mark=f"<{seq}>") for seq in (1, 2, 3)]
    flow = await engine.register(*rows)
    worker = start_worker(programs=(PRINTING,))
    await until_settled(engine, flow)
    await worker.stop()
    for seq in (1, 2, 3):
        assert sorted(await texts(engine, flow, seq)) == sorted(
            f"<{seq}> {where} {one} {number}"
            for where in ("thread", "pool")
            for one in range(3)
            for number in range(20)
        )


async def test_what_c_code_and_child_processes_write_in_a_process_program_is_kept(
    engine: Engine, start_worker: Start
) -> None:
    code = "import sys; print('from a child process'); print('to err from it', file=sys.stderr)"
    flow = await engine.register(row(1, "from_below", code=code), row(2, "say_process"))
    worker = start_worker(programs=(PRINTING,), processes=1)
    await until_settled(engine, flow)
    await worker.stop()
    lines = (await logs(engine))[flow, 1]
    assert [line.text for line in lines if line.stream != "err"] == [
        *("from python", "from C", "from os.write", "from a child process", "from a copy"),
        *("logged at the end", "C without an end"),
    ]
    assert [line.text for line in lines if line.stream == "err"] == ["to err from os.write", "to err from it"]
    assert "printed" in await texts(engine, flow, 2)


async def test_the_last_words_of_a_process_that_dies_are_kept(engine: Engine, start_worker: Start) -> None:
    flow = await engine.register(row(1, "dies_loudly"))
    worker = start_worker(programs=(PRINTING,), max_lost=1)
    await until_settled(engine, flow)
    await worker.stop()
    assert (await texts(engine, flow))[:2] == ["its last words", "from C"]


@pytest.mark.parametrize("how", ["close", "replace", "none", "redirect", "descriptors"])
@pytest.mark.parametrize("program", ["takes_streams_away", "takes_streams_away_on_a_thread"])
async def test_a_program_that_takes_the_streams_away_does_so_for_itself_at_most(
    engine: Engine, spawn_worker: Spawn, program: str, how: str
) -> None:
    flow = await engine.register(row(1, program, how=how), row(2, "say_process", 1), row(3, "say_thread", 2))
    worker = spawn_worker(programs=(PRINTING,), processes=1)
    (ended,) = await until_settled(engine, flow)
    assert ended.ended_ms is not None
    await worker.stop()
    assert (await texts(engine, flow, 1)) == (["before", "after"] if how == "redirect" else ["before"])
    for task in (2, 3):
        assert "printed" in await texts(engine, flow, task)
        assert "to err" in await texts(engine, flow, task)


@pytest.mark.parametrize("program", ["odd", "odd_process"])
async def test_what_is_no_text_breaks_nothing(engine: Engine, start_worker: Start, program: str) -> None:
    kinds = ["nul", "half", "invalid", "surrogate", "sign", "progress", "long", "records"]
    flow = await engine.register(*[row(seq, program, kind=kind) for seq, kind in enumerate(kinds, 1)])
    worker = start_worker(programs=(PRINTING,))
    (ended,) = await until_settled(engine, flow)
    assert ended.ended_ms is not None
    await worker.stop()
    found = {kind: await texts(engine, flow, seq) for seq, kind in enumerate(kinds, 1)}
    assert all(lines[-1].endswith("end") for lines in found.values()), found
    assert found["nul"] == ["a\u2400b", "end"]
    assert found["half"] == ["half 花 whole", "end"]
    assert found["invalid"] == ["bad \ufffd\ufffd end", "end"]
    assert found["surrogate"][0] in ("lone \ufffd surrogate", "lone \\ud800 surrogate")
    assert found["progress"] == ["100 %", "end"]
    assert found["records"].count("odd time") == 5
    (long, _) = found["long"]
    assert len(long) <= MAX_TEXT_BYTES
    assert long.endswith("[cut: the line has 1000000 characters]")


async def test_a_copy_that_a_program_forks_off_in_the_worker_writes_no_line_twice(
    engine: Engine, spawn_worker: Spawn
) -> None:
    flow = await engine.register(row(1, "fork_on_a_thread"))
    worker = spawn_worker(programs=(PRINTING,))
    await until_settled(engine, flow)
    await worker.stop()
    assert await texts(engine, flow) == ["before", "after"]
    assert "in the copy" in worker.log()


async def test_secrets_of_a_task_are_hidden_in_its_log_and_in_that_of_the_worker(
    engine: Engine, spawn_worker: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cr3t-of-the-task"
    monkeypatch.setenv("SECRETS_TOKEN", secret)
    flow = await engine.register(
        *(row(seq, name, token={"$secret": "TOKEN"}) for seq, name in SECRET_TELLERS.items())
    )
    worker = spawn_worker(
        programs=(PRINTING,), secrets_grants=("*:TOKEN",), secrets_prefix="SECRETS_", processes=1
    )
    (ended,) = await until_settled(engine, flow)
    assert ended.ended_ms is not None
    await worker.stop()
    found = await texts(engine, flow, 1)
    assert found[:3] == ["split: ***", "bytes: ***", "logged: ***"]
    assert found[-1] == "end"
    assert set(await texts(engine, flow, 2)) == {"printed: ***", "written: ***", "logged: ***"}
    everything = worker.log() + "".join(await texts(engine, flow, 1))
    assert secret not in everything
    assert secret[:5] not in everything
    assert "split: ***" in worker.log()


SECRET_TELLERS = {1: "tell_secret", 2: "tell_secret_process"}


async def test_lines_after_the_outcome_go_to_the_log_of_the_worker(
    engine: Engine, spawn_worker: Spawn, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "prints_late", folder=str(tmp_path)))
    worker = spawn_worker(programs=(PRINTING,))
    await until_settled(engine, flow)
    (tmp_path / "go").touch()
    await eventually((tmp_path / "printed").exists)
    await worker.stop()
    assert await texts(engine, flow) == ["in time"]
    assert f"flow {flow} task 1 attempt 1 wrote (out) after its outcome: too late" in worker.log()


async def test_what_was_sent_is_there_after_the_worker_was_killed(
    engine: Engine, spawn_worker: Spawn
) -> None:
    flow = await engine.register(row(1, "prints_and_waits"))
    worker = spawn_worker(programs=(PRINTING,))
    await until_written(engine, flow, "flushed 49")  # while it runs: the tail is live
    worker.kill()
    assert await texts(engine, flow) == [f"flushed {number}" for number in range(50)]


async def test_an_outcome_arrives_where_the_stream_of_lines_cannot_be_written(
    engine: Engine, start_worker: Start, caplog: pytest.LogCaptureFixture
) -> None:
    await send(engine.client, "SET", engine.keys.tasklog, "no stream")
    flow = await engine.register(row(1, "in_threads", mark="<1>"))
    worker = start_worker(programs=(PRINTING,))
    (ended,) = await until_settled(engine, flow)
    assert ended.ended_ms is not None
    await eventually(lambda: "Redis (task logs)" in caplog.text)
    assert "WRONGTYPE" in caplog.text
    await send(engine.client, "DEL", engine.keys.tasklog)
    await until_written(engine, flow, "<1> pool 2 19")
    await worker.stop()


async def test_nothing_is_kept_where_logs_are_off(engine: Engine, spawn_worker: Spawn) -> None:
    flow = await engine.register(row(1, "say_async"), row(2, "say_process", 1))
    worker = spawn_worker(programs=(PRINTING,), task_logs="off")
    await until_settled(engine, flow)
    await worker.stop()
    assert await logs(engine) == {}
    assert worker.log().count("printed") == 2


@pytest.mark.parametrize("kind", ["thread", "process"])
async def test_what_programs_print_is_shown_where_it_was_before(
    engine: Engine, spawn_worker: Spawn, kind: str
) -> None:
    flow = await engine.register(row(1, f"say_{kind}"))
    worker = spawn_worker(programs=(PRINTING,))
    await until_settled(engine, flow)
    shown = ("printed\n", "to err\n", f"some.library: flow {flow} task 1 attempt 1: logged well")
    await eventually(lambda: all(text in worker.log() for text in shown))
    await worker.stop()


@pytest.mark.parametrize(
    ("program", "lines"),
    [("flood_thread", 120_000), ("flood_process", 120_000), ("flood_from_below", 1_200_000)],
)
async def test_a_program_that_prints_a_hundred_megabytes_keeps_its_first_and_last_lines_only(
    engine: Engine, spawn_worker: Spawn, program: str, lines: int
) -> None:
    warm = await engine.register(row(1, "say_thread"), row(2, "say_process"))
    worker = spawn_worker(programs=(PRINTING,), processes=1, lease_seconds=30.0, heartbeat_seconds=1.0)
    await until_settled(engine, warm)
    before = psutil.Process(worker.pid).memory_info().rss
    most = before
    flow = await engine.register(row(1, program, lines=lines))
    settled = asyncio.create_task(until_settled(engine, flow))
    while not settled.done():
        most = max(most, psutil.Process(worker.pid).memory_info().rss)
        await asyncio.sleep(0.01)
    assert (await settled)[0].ended_ms is not None
    assert most - before < 50 << 20
    await worker.stop()
    found = [chunk for chunk in await chunks(engine) if chunk.flow == flow]
    kept = [line for chunk in found for line in chunk.lines]
    assert kept[0].number == 1
    assert kept[0].text.startswith("0 xxx")
    assert kept[-1].text.startswith(f"{lines - 1} xxx") or kept[-1].text == "end"
    assert kept[-1].number - lines in (0, 1)
    assert sum(chunk.skipped for chunk in found) == kept[-1].number - len(kept) > lines * 0.9
    sizes = [sum(len(line.text) for line in part) for part in _parts(kept)]
    assert [200_000 < size <= 512 << 10 for size in sizes] == [True, True]


def _parts(lines: list[Line]) -> list[list[Line]]:
    """The lines, apart where some are missing."""
    parts: list[list[Line]] = [[]]
    for line in lines:
        if parts[-1] and line.number != parts[-1][-1].number + 1:
            parts.append([])
        parts[-1].append(line)
    return parts


async def test_one_piece_of_very_many_lines_and_one_very_long_line_are_taken(
    engine: Engine, start_worker: Start
) -> None:
    flow = await engine.register(row(1, "flood_at_once", characters=20_000_000))
    worker = start_worker(programs=(PRINTING,))
    await until_settled(engine, flow)
    await worker.stop()
    lines = (await logs(engine))[flow, 1]
    assert (lines[0].text, lines[-1].text) == ("y" * 99, "end")
    assert lines[-1].number == 200_002
    assert re.fullmatch(r"z+ \.\.\. \[cut: the line has 20000000 characters\]", lines[-2].text)


async def test_a_program_that_sets_logging_up_anew_is_still_heard(
    engine: Engine, spawn_worker: Spawn
) -> None:
    flow = await engine.register(row(1, "sets_logging_up"), row(2, "breaks_in_logging", 1))
    worker = spawn_worker(programs=(PRINTING,))
    (ended,) = await until_settled(engine, flow)
    assert ended.ended_ms is not None
    await worker.stop()
    lines = (await logs(engine))[flow, 1]
    assert ("log", "still heard") in [(line.stream, line.text) for line in lines]
    assert "goes on" in [line.text for line in (await logs(engine))[flow, 2]]


@pytest.mark.parametrize("how", ["dictConfig", "basicConfig", "level", "disable"])
async def test_the_log_of_the_worker_goes_on_after_a_program_that_took_logging_away(
    engine: Engine, spawn_worker: Spawn, how: str
) -> None:
    flow = await engine.register(row(1, "takes_logging_away", how=how))
    worker = spawn_worker(programs=(PRINTING,))
    await until_settled(engine, flow)
    other = await engine.register(row(1, "takes_logging_away", how="nothing"))
    await until_settled(engine, other)
    await worker.stop()
    assert f"fails after {how}" in worker.log()
    assert f"flower_worker.execution: flow {other} task 1 attempt 1 failed" in worker.log()


@pytest.mark.parametrize("how", ["dictConfig", "basicConfig", "level", "disable"])
async def test_the_worker_says_that_it_stops_after_a_program_that_took_logging_away_and_ended_well(
    engine: Engine, spawn_worker: Spawn, how: str
) -> None:
    """A program that takes no longer than the time between two looks at what programs did."""
    flow = await engine.register(row(1, "takes_logging_away", how=how, fails=False))
    worker = spawn_worker(programs=(PRINTING,))
    await until_settled(engine, flow)
    await worker.stop()
    assert "stops: it takes no more tasks" in worker.log()


async def test_what_a_program_prints_after_it_closed_its_output_is_not_in_the_log_of_the_next(
    engine: Engine, start_worker: Start
) -> None:
    flow = await engine.register(row(1, "closes_and_prints"), row(2, "say_process", 1))
    worker = start_worker(programs=(PRINTING,), processes=1)
    await until_settled(engine, flow)
    await worker.stop()
    assert (await texts(engine, flow, 1))[0] == "before"
    assert "for nobody else" not in await texts(engine, flow, 2)
