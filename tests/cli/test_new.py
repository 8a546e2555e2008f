"""``flower new`` makes a folder that is right as it stands, and overwrites nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.whole_command import app
from flower_cli.local.project_files import project_files
from flower_cli.workflow_targets import one_of, targeted
from flower_engine.errors import SettingsError
from flower_engine.programs.registry import registry
from forked_flower import flower

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_folder_has_a_workflow_that_is_defined_and_a_way_on(folder: Path) -> None:
    made = CliRunner().invoke(app, ["new", "daily-orders"])
    assert made.exit_code == 0, made.output
    assert "flower run daily-orders/daily_orders.py day=2026-01-05" in made.stdout
    names = sorted(file.name for file in (folder / "daily-orders").iterdir())
    assert names == ["README.md", "daily_orders.py", "test_daily_orders.py"]
    try:
        document = one_of(targeted("daily-orders/daily_orders.py"), "")
        assert document["taskId"] == "daily-orders"
        assert [task["taskName"] for task in document["tasks"]] == ["orders", "totals", "summary"]
    finally:
        for name in ("read_orders", "sum_up", "report"):
            registry.forget(f"daily-orders.{name}")
        sys.modules.pop("daily_orders", None)


def test_two_commands_lead_from_an_empty_folder_to_the_result_of_an_own_workflow(folder: Path) -> None:
    for words in (("new", "orders"), ("run", "orders/orders.py", "day=2026-01-05", "at_least=10")):
        ended = flower(*words, environment=os.environ, timeout=600)
        assert ended.returncode == 0, ended.stderr
    assert ended.stdout == '"2026-01-05: 50 in all, most by Ada"\n'
    assert "3 orders of 2 customers" in ended.stderr and "task 3 summary: Finish" in ended.stderr
    assert [file.name for file in folder.iterdir()] == ["orders"]


def test_its_test_passes_and_so_do_strict_type_checkers(folder: Path) -> None:
    for name, text in project_files("orders-of", "orders_of").items():
        (folder / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tested = subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    (folder / "pyrightconfig.json").write_text(
        f'{{"typeCheckingMode": "strict", "extraPaths": ["{ROOT}/shared"],'
        f' "venvPath": "{BIN.parents[1]}", "venv": "{BIN.parent.name}"}}'
    )
    checked = subprocess.run([BIN / "basedpyright"], cwd=folder, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_nothing_is_overwritten(folder: Path) -> None:
    (folder / "orders").mkdir()
    (folder / "orders" / "orders.py").write_text("mine")
    refused = CliRunner().invoke(app, ["new", "orders"])
    assert isinstance(refused.exception, SettingsError)
    assert [file.name for file in (folder / "orders").iterdir()] == ["orders.py"]


@pytest.mark.parametrize(
    "name", ["", ".", "../x", "a/b", "1st", "a b", "class", "json", "test", "flower_engine"]
)
def test_a_name_that_cannot_be_is_refused(folder: Path, name: str) -> None:
    assert isinstance(CliRunner().invoke(app, ["new", name]).exception, SettingsError)
    assert list(folder.iterdir()) == []
