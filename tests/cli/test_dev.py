"""``flower dev``: what is changed is deployed and run; what cannot be read leaves all as it was."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli.up_process import urls, wait_until
from flower_cli.local.dev import CodeFiles
from flower_cli.local.target_child import read_anew
from flower_engine.client import Client
from flower_engine.errors import ProgramError
from forked_flower import start

CODE = """
from flower_engine import program

@program("dev.says")
def says() -> str:
    print("it says VERSION")
    return "VERSION"
"""
SCHEDULE = "---\nschedule: dev-daily\ntaskId: dev\ncron: '@daily'\n"
FILE = "taskId: dev\ntasks: [{taskSeq: 1, program: dev.says, parameters: {}}]\n"


def write(folder: Path, version: str) -> None:
    (folder / "dev_programs.py").write_text(CODE.replace("VERSION", version))


def test_what_changes_is_deployed_and_runs_and_what_is_wrong_does_no_harm(tmp_path: Path) -> None:
    write(tmp_path, "one")
    (tmp_path / "dev.yaml").write_text(FILE)
    (tmp_path / ".env").write_text("FLOWER_REDIS_URL=redis://elsewhere.example\nFLOWER_PARTITIONS=2\n")
    (tmp_path / ".env").chmod(0o600)
    log, home = tmp_path / "log", tmp_path / ".flower"
    words = ("-m", "flower_cli", "dev", "dev.yaml", "--programs", "dev_programs")
    with log.open("wb") as output:
        process = start(*words, environment=os.environ, output=output, folder=tmp_path)

    def said(text: str, times: int = 1) -> Callable[[], bool]:
        def is_said() -> bool:
            assert process.poll() is None, log.read_text()
            return log.read_text().count(text) >= times

        return is_said

    try:
        wait_until(said("deployed dev"))
        with Client(urls(home)["api_url"]) as client:
            assert client.register("dev").wait(timeout=120).tasks[0].result == "one"
            wait_until(said("it says one"))
            with (tmp_path / "dev_programs.py").open("a") as code:
                code.write("def (\n")
            wait_until(said("what was there before goes on"))
            assert "dev_programs.py" in log.read_text() and "SyntaxError" in log.read_text()
            assert client.register("dev").wait(timeout=120).tasks[0].result == "one"
            write(tmp_path, "two")
            wait_until(said("a new worker runs the code", times=2))
            wait_until(lambda: client.register("dev").wait(timeout=120).tasks[0].result == "two")
            (tmp_path / "dev.yaml").write_text(FILE + "timeoutSeconds: 60\n" + SCHEDULE)
            wait_until(said("a new worker runs the code", times=3))
            assert client.workflows.get("dev")["timeoutSeconds"] == 60
            assert client.schedules.get("dev-daily").definition["cron"] == "@daily"
            assert "schedule dev-daily (new)" in log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130, log.read_text()
    assert "Traceback" not in log.read_text()
    running = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    assert [command for command in running if str(tmp_path) in command] == []


def test_code_is_read_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "one")
    (tmp_path / "dev.yaml").write_text(FILE)
    assert read_anew("dev.yaml", ["dev_programs"]).programs == {"dev.says"}
    (tmp_path / "dev_programs.py").write_text("def inner():\n    raise LookupError('no table')\ninner()\n")
    with pytest.raises(ProgramError, match="no table") as error:
        read_anew("dev.yaml", ["dev_programs"])
    assert "line 2, in inner" in str(error.value) and "importlib" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("flows.py", True),
        ("a/b/flows.yaml", True),
        ("flows.yml", True),
        ("notes.txt", False),
        (".flower/run/stores.json", False),
        ("__pycache__/flows.py", False),
        (".venv/lib/x.py", False),
    ],
)
def test_only_code_and_workflows_count_as_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, counts: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CodeFiles()(None, str(tmp_path / path)) is counts
