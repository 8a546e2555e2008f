"""``flower run``: a workflow from its file or module to its result, with an engine of its own."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from cli.up_process import wait_until
from cli.whole_command import app
from flower_cli.local.run import _tell  # pyright: ignore[reportPrivateUsage]
from flower_cli.local.task_watch import PrintedLines, watch
from flower_cli.workflow_targets import one_of, targeted
from flower_engine.client import Flow
from flower_engine.errors import DefinitionError, ProgramError
from flower_engine.programs.registry import registry
from forked_flower import flower, start

PROGRAMS = """
import time
from flower_engine import program, sleep as naps, workflow

@program("run.double")
def double(number: int) -> int:
    print("doubling", number)
    if number < 0:
        raise LookupError("no such number")
    return 2 * number

@program("run.sleep")
def sleep() -> None:
    print("asleep")
    time.sleep(600)

@workflow("run.twice")
def twice(number: int = 3) -> int:
    return double.step(number)

@workflow("run.all")
def all_of_it(number: int) -> list[int]:
    first = double.step(number)
    naps.having(after=[first])("1ms")
    return twice.map(double.map([number, 1]))

@workflow("run.wrong")
def wrong(number: int = 3) -> int:
    if number:
        return double.step(number)
    return double.step(1)
"""
FILE = """
- taskId: run.file
  tasks:
    - {taskSeq: 1, taskName: first, program: run.double, parameters: {number: 1}, queue: slow}
    - {taskSeq: 2, program: run.double, parameters: {number: 2}}
    - {taskSeq: 3, program: "@sleep", parameters: {seconds: 0.001}}
    - {taskSeq: 4, program: "@map", parameters: {over: [3], program: run.double, as: number}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with a module and a file."""
    (tmp_path / "run_programs.py").write_text(PROGRAMS)
    (tmp_path / "flows.yaml").write_text(FILE)
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("run.double", "run.sleep"):
        registry.forget(name)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder / "temporary")}


def assert_nothing_left(folder: Path) -> None:
    assert list((folder / "temporary").iterdir()) == []
    running = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert [command for command in running if str(folder) in command] == []


def test_a_file_runs_to_its_end(folder: Path) -> None:
    # What is set for another engine is not for this one, wherever it is set.
    (folder / ".env").write_text("FLOWER_REDIS_URL=redis://elsewhere.example\n")
    (folder / ".env").chmod(0o600)
    words = ("run", "flows.yaml", "number=5", "--programs", "run_programs")
    ended = flower(*words, environment=environment(folder), timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert "doubling 5" in ended.stderr and "task 4 @map: Finish" in ended.stderr
    assert "task 1 first: Finish" in ended.stderr and "task 2 run.double: Finish" in ended.stderr
    json.loads(ended.stdout)
    assert_nothing_left(folder)


def test_what_a_target_needs_is_told_of_what_is_below_it_too(folder: Path) -> None:
    found = targeted("run_programs:run.all")
    assert found.programs == {"run.double"}
    assert [one["taskId"] for one in found.below] == ["run.twice"]
    assert targeted("run_programs:run.twice").below == []


def test_what_fails_is_said_and_its_data_kept_where_it_should_be(folder: Path) -> None:
    # What it needs of the flows below it is there, too: else it could not begin.
    words = ("run", "run_programs:run.all", "--param", "number=-1", "--home", "kept")
    ended = flower(*words, environment=environment(folder), timeout=600)
    assert ended.returncode == 1, ended.stderr
    assert "task 1 (first): LookupError: no such number" in ended.stderr
    assert 'File "' in ended.stderr and "run_programs.py" in ended.stderr
    assert ended.stdout == ""
    assert "flower up --home kept" in ended.stderr
    assert (folder / "kept" / "postgres" / "data").is_dir()


def test_ctrl_c_ends_it_well(folder: Path) -> None:
    (folder / "sleep.json").write_text(
        '{"taskId": "sleep", "tasks": [{"taskSeq": 1, "program": "run.sleep"}]}'
    )
    log = folder / "log"
    with log.open("wb") as output:
        words = ("-m", "flower_cli", "run", "sleep.json", "--programs", "run_programs")
        grace = {"FLOWER_GRACE_SECONDS": "0.5"}
        process = start(*words, environment=environment(folder) | grace, output=output, folder=folder)
    wait_until(lambda: b"asleep" in log.read_bytes() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130, log.read_text()
    assert "Traceback" not in log.read_text()
    assert_nothing_left(folder)


def test_parameters_that_do_not_fit_are_said_before_anything_starts(folder: Path) -> None:
    refused = CliRunner().invoke(app, ["run", "run_programs:twice", "number=many", "nmber=3"])
    assert refused.exit_code == 1
    assert "parameter 'number': " in refused.stderr and "nmber" in refused.stderr
    assert "starting an engine" not in refused.stderr


def test_a_target_names_workflows_and_the_modules_with_their_programs(folder: Path) -> None:
    found = targeted("run_programs:twice", ["more"])
    assert (one_of(found, "")["taskId"], found.modules) == ("run.twice", ["run_programs", "more"])
    found = targeted("flows.yaml")
    assert (found.programs, found.queues) == ({"run.double"}, ["default", "slow"])
    with pytest.raises(DefinitionError, match=r"run_programs\.py:\d+"):
        targeted("run_programs:wrong")
    (folder / "odd.json").write_text('{"taskId": "odd", "tasks": [1, {"program": null}]}')
    assert targeted("odd.json").queues == ["default"]  # the API says what is wrong with it


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", "{"),
        ("x.json", "3"),
        ("x.json", '{"tasks": 1}'),
        ("x.yaml", "a: [1"),
        ("x.yaml", "a: !!python/object:os.system {}"),
        ("x.yml", ""),
        ("absent.yaml", None),
        ("nobody", None),
        ("json", None),
    ],
)
def test_a_target_that_is_none_is_said(folder: Path, name: str, content: str | None) -> None:
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises((ProgramError, typer.BadParameter), match=name.partition(".")[0]):
        targeted(name)


def flow(status: str, *tasks: dict[str, Any], **more: Any) -> Flow:
    told = {"taskFlowId": "f", "taskId": "w", "status": status, "version": 1, "tasks": list(tasks), **more}
    return msgspec.json.decode(msgspec.json.encode(told), type=Flow)


def task(seq: int, status: str, **more: Any) -> dict[str, Any]:
    return {"taskExecSeq": seq, "taskSeq": seq, "program": "P", "status": status, "attempt": 1, **more}


@pytest.mark.parametrize("is_terminal", [True, False])
def test_each_task_is_shown_once_as_it_ends_and_what_programs_print(
    tmp_path: Path, is_terminal: bool
) -> None:
    log = tmp_path / "up.log"
    log.write_text(
        "worker    | hello\napi       | not this\n"
        "worker    | 2026-01-05T08:00:00.000Z INFO     worker x.y: nor this\nworker    | half"
    )
    error = {"type": "E", "message": "[red]first\nsecond"}
    seen = iter(
        [
            flow("Running", task(1, "Running"), task(2, "Wait"), running=1),
            flow("Running", task(1, "Finish"), task(2, "Wait", failures=1), waiting=1),
            flow("Suspend", task(1, "Finish"), task(2, "Suspend", error=error), suspended=1),
        ]
    )
    with (tmp_path / "shown").open("w") as file:
        console = Console(file=file, force_terminal=is_terminal, width=100)
        assert (
            watch(console, lambda _version, _seconds: next(seen), PrintedLines(log, console)).status
            == "Suspend"
        )
    shown = (tmp_path / "shown").read_text()
    assert "hello" in shown and "this" not in shown and "half" not in shown
    if not is_terminal:
        assert shown.count("task 1 P: Finish") == shown.count("task 2 P: Suspend  E: [red]first") == 1
        assert "attempt 1 failed, another follows" in shown


def test_a_flow_that_stays_is_left_when_the_time_is_over(tmp_path: Path) -> None:
    (tmp_path / "up.log").touch()
    console = Console(file=(tmp_path / "shown").open("w"))  # closed below
    waiting = flow("Wait", task(1, "Wait", waitReason={"reason": "paused", "by": "eve"}), waiting=1)
    left = watch(
        console, lambda _version, _seconds: waiting, PrintedLines(tmp_path / "up.log", console), timeout=0
    )
    console.file.close()
    assert _tell(left) == 4


def test_the_exit_code_says_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    ended = "2026-01-05T08:00:00Z"
    assert _tell(flow("Finish", finishedTs=ended, result={"a": [1]})) == 0
    assert json.loads(capsys.readouterr().out) == {"a": [1]}
    assert _tell(flow("Ignore", finishedTs=ended, cancelledTs=ended, cancelledBy="eve")) == 3
    assert _tell(flow("Suspend", task(1, "Suspend", error={"type": "E", "message": "m"}), suspended=1)) == 1
    assert capsys.readouterr().out == ""
