"""``flower deploy`` and ``flower export``: from modules and files into use, and back."""

import json
import linecache
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.serving import RunningApi
from cli.flower_command import Flower
from flower_cli.commands.api_client import say_warnings
from flower_engine.programs.registry import registry

FLOWS = """
from flower_engine import program, workflow


@program
def list_rows(day: str) -> list[int]:
    return [1, 2]


@program
def count(rows: list[int], factor: int = 1) -> int:
    return len(rows) * factor


@workflow("nightly", timeout="6h")
def nightly(day: str) -> int:
    rows = list_rows.having(timeout="TIMEOUT").step(day)
    return count.step(rows, factor=2)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder whose modules are forgotten again."""
    path = list(sys.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))  # as it was, afterwards
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    sys.path[:] = path
    for name in ("list_rows", "count"):
        registry.forget(name)


def write_flows(folder: Path, name: str, timeout: str = "5m") -> None:
    (folder / f"{name}.py").write_text(FLOWS.replace("TIMEOUT", timeout))
    sys.modules.pop(name, None)
    linecache.clearcache()
    for program in ("list_rows", "count"):
        registry.forget(program)


def _said(text: str) -> str:
    return " ".join(text.replace("│", "").split())


def document(**more: Any) -> dict[str, Any]:
    return {"taskId": "daily", "tasks": [{"taskSeq": 1, "program": "A"}], **more}


def test_a_module_is_deployed_after_its_plan_was_agreed_to(
    flower: Flower, own_api: RunningApi, folder: Path
) -> None:
    write_flows(folder, "agreed")
    declined = flower("deploy", "agreed", input="n\n")
    assert declined.exit_code == 1
    assert "+ nightly new, 2 tasks" in _said(declined.stdout)
    assert own_api.client.get("/workflows/nightly").status_code == 404
    done = flower("deploy", "agreed", input="y\n")
    assert (done.exit_code, "deployed: 1 new" in done.stdout) == (0, True), done.output
    assert own_api.client.get("/workflows/nightly").json()["timeoutSeconds"] == 6 * 3600
    again = flower("deploy", "agreed")
    assert (again.exit_code, "nothing to change: 1 unchanged" in again.stdout) == (0, True), again.output


def test_what_is_different_is_said_field_by_field(flower: Flower, own_api: RunningApi, folder: Path) -> None:
    write_flows(folder, "fields")
    assert flower("deploy", "fields.py", "--yes").exit_code == 0
    own_api.sql("UPDATE ms_task_definition SET units = 3 WHERE task_id = 'nightly' AND task_seq = 2")
    write_flows(folder, "changed", "10m")
    plan = flower("deploy", "changed.py", "--check")
    assert plan.exit_code == 6
    said = _said(plan.stdout)
    assert "timeout 5m -> 10m" in said and "units 3 -> unset" in said
    assert (
        "drift: edited with SQL since cli deployed it from fields.py" in said and "units unset -> 3" in said
    )
    assert "would change: 1 changed" in said
    answer = json.loads(flower("deploy", "changed.py", "--check", "--json").stdout)
    assert (answer["applied"], answer["workflows"][0]["action"]) == (False, "changed")
    done = flower("deploy", "changed.py", "--yes", "--json")
    assert json.loads(done.stdout)["applied"] is True
    assert flower("deploy", "changed.py", "--check").exit_code == 0


def test_what_an_earlier_deploy_of_the_source_brought_is_pruned_when_asked(
    flower: Flower, own_api: RunningApi, folder: Path
) -> None:
    own_api.define("by-hand", {})
    (folder / "two.json").write_text(json.dumps([document(), document(taskId="weekly")]))
    assert flower("deploy", "two.json", "--yes").exit_code == 0
    (folder / "two.json").write_text(json.dumps(document()))
    assert flower("deploy", "two.json", "--check").exit_code == 0
    assert flower("deploy", "two.json", "--check", "--prune", "--source", "another").exit_code == 0
    plan = flower("deploy", "two.json", "--check", "--prune")
    assert (plan.exit_code, "- weekly pruned" in _said(plan.stdout)) == (6, True), plan.output
    assert flower("deploy", "two.json", "--yes", "--prune").exit_code == 0
    names = [one["taskId"] for one in own_api.client.get("/workflows").json()["workflows"]]
    assert names == ["by-hand", "daily"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("import nothing_of_that_name\n", "broken.py, line 1"),
        ("def nightly(:\n", "line 1"),
        ("x = 1\n", "broken.py has no workflows"),
        ("raise SystemExit(3)\n", "broken.py, line 1"),
        (FLOWS.replace("TIMEOUT", "5m").replace("rows, factor=2", "rows, factr=2"), "broken.py:"),
        (
            FLOWS.replace("TIMEOUT", "5m").replace("return count", "if rows: pass\n    return count"),
            "broken.py:",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line_and_nothing_is_deployed(
    refusing: Flower, api: RunningApi, folder: Path, content: str, said: str
) -> None:
    (folder / "broken.py").write_text(content)
    (folder / "good.json").write_text(json.dumps(document()))
    wrong = refusing("deploy", "good.json", "broken.py", "--yes")
    assert wrong.exit_code == 1
    assert said in wrong.stderr.replace("\n", ""), wrong.stderr
    assert api.client.get("/workflows").json()["workflows"] == []


def test_targets_that_are_not_there_are_said(flower: Flower, own_api: RunningApi, folder: Path) -> None:
    assert flower("deploy", "none.yaml").exit_code == 2
    assert flower("deploy", "none.py").exit_code == 2
    missing = flower("deploy", "no_module_of_this_name")
    assert (missing.exit_code, "no_module_of_this_name" in missing.stderr) == (1, True)
    (folder / "wrong.json").write_text(json.dumps([document(tasks=[]), document(taskId="x", colour="red")]))
    wrong = flower("deploy", "wrong.json", "--yes")
    assert (wrong.exit_code, "colour" in wrong.stderr) == (1, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("taskId: [", "is not YAML"),
        ("taskId: a\ntaskId: b\n", "'taskId' stands twice"),
        ("1: a\n", "a key is no text"),
        ("taskId: a\ntasks: !!set {x}", "is not YAML"),
        ("taskId: a\ntasks: !!python/object:os.system {}", "is not YAML"),
        ("- 7\n", "workflow 1 is no object"),
    ],
)
def test_yaml_that_is_no_definition_is_wrong_usage(
    refusing: Flower, folder: Path, content: str, said: str
) -> None:
    (folder / "flows.yaml").write_text(content)
    wrong = refusing("deploy", "flows.yaml")
    assert (wrong.exit_code, said in _said(wrong.stderr)) == (2, True), wrong.output


def test_yaml_says_what_json_says(flower: Flower, own_api: RunningApi, folder: Path) -> None:
    (folder / "flows.yaml").write_text(
        "taskId: daily\ntasks:\n- taskSeq: 1\n  program: A\n"
        "  parameters: {day: 2026-01-05, at: 12:30, n: 1.0, no: no, m: 1e3, o: 010, t: true, e: }\n"
        "---\ntaskId: weekly\ntasks:\n- {taskSeq: 1, program: A}\n"
    )
    assert flower("deploy", "flows.yaml", "--yes").exit_code == 0
    parameters = own_api.client.get("/workflows/daily").json()["tasks"][0]["parameters"]
    told = {"day": "2026-01-05", "at": "12:30", "n": 1.0, "no": "no", "m": 1000.0, "o": 10}
    assert parameters == told | {"t": True, "e": None}
    assert own_api.client.get("/workflows/weekly").status_code == 200


def test_what_is_exported_is_deployed_without_a_change(
    flower: Flower, own_api: RunningApi, folder: Path
) -> None:
    write_flows(folder, "exported")
    assert flower("deploy", "exported", "--yes").exit_code == 0
    own_api.define(
        "odd/one",
        {
            "parameters": {
                "a": "true",
                "b": "2026-01-05",
                "c": 1e22,
                "d": [None, {"": "x\u2028\ty"}],
                "e": 0.1,
            },
            "retry": {"maxAttempts": 3, "delaySeconds": 400.0},
        },
        {"dependsOn": [], "taskPriority": -3, "timeoutSeconds": 0.25},
    )
    before = {name: _hash(own_api, name) for name in ("nightly", "odd%2Fone")}
    for flag, file in (("--yaml", "all.yaml"), ("--json", "all.json")):
        shown = flower("export", flag)
        assert shown.exit_code == 0, shown.output
        (folder / file).write_text(shown.stdout)
        plan = flower("deploy", file, "--check")
        assert (plan.exit_code, "2 unchanged" in plan.stdout) == (0, True), plan.output
    for name in ("nightly", "odd/one"):
        (folder / "one.json").write_text(flower("export", name, "--json").stdout)
        own_api.client.delete(f"/workflows/{name.replace('/', '%2F')}")
        assert flower("deploy", "one.json", "--yes").exit_code == 0
    assert {name: _hash(own_api, name) for name in before} == before


def _hash(api: RunningApi, name: str) -> str:
    return api.client.get(f"/workflows/{name}/versions/newest").json()["hash"]


def test_what_cannot_be_exported_is_said_beside_the_rest(
    flower: Flower, own_api: RunningApi, folder: Path
) -> None:
    for name in ("good", "bad"):
        own_api.define(name, {})
    own_api.sql("UPDATE ms_task_definition SET retry_jitter = 7 WHERE task_id = 'bad'")
    shown = flower("export")
    assert shown.exit_code == 1
    assert "taskId: good" in shown.stdout and "taskId: bad" not in shown.stdout
    assert "'bad'" in shown.stderr
    assert flower("export", "nobody").exit_code == 1
    assert flower("export", "good", "--yaml", "--json").exit_code == 2


def test_versions_are_listed_and_compared(flower: Flower, own_api: RunningApi) -> None:
    for timeout in (300, 600):
        more: list[dict[str, Any]] = [{}] if timeout == 600 else []
        own_api.define("daily", {"timeoutSeconds": timeout}, *more)
    listed = flower("workflows", "versions", "daily").stdout.splitlines()
    assert [line.split()[0] for line in listed if line.split() and line.split()[0] in "12"] == ["2", "1"]
    assert "newest" in "".join(listed)
    assert json.loads(flower("workflows", "versions", "daily", "--json").stdout)["versions"][0]["number"] == 2
    said = _said(flower("workflows", "diff", "daily").stdout)
    assert "daily: version 1 (" in said and "+ task 2 A" in said and "task 1: timeout 5m -> 10m" in said
    back = json.loads(flower("workflows", "diff", "daily", "2", "1", "--json").stdout)
    assert (back["from"]["number"], back["to"]["number"]) == (2, 1)
    assert [one["text"] for one in back["differences"]] == ["- task 2 A", "task 1: timeout 10m -> 5m"]
    assert "nothing is different" in flower("workflows", "diff", "daily", "2", "2").stdout
    assert flower("workflows", "diff", "daily", "7").exit_code == 1
    own_api.define("single", {})
    assert "only one version" in flower("workflows", "diff", "single").stderr
    assert flower("workflows", "versions", "nobody").exit_code == 1


def test_a_flow_of_an_earlier_version_is_started_and_shown(flower: Flower, own_api: RunningApi) -> None:
    for program in ("A", "B"):
        own_api.define("daily", {"program": program})
    flow = flower("register", "daily", "--workflow-version", "1").stdout.split()[0]
    assert own_api.flow(flow)["tasks"][0]["program"] == "A"
    shown = flower("show", flow).stdout
    assert f"version    {own_api.flow(flow)['workflowVersion'][:12]} of daily" in shown
    fork = flower("fork", flow, "--from", "1", "--workflow-version", "newest").stdout.strip()
    assert own_api.flow(fork)["tasks"][0]["program"] == "B"
    both = flower("fork", flow, "--from", "1", "--workflow-version", "2", "--param", "n=1")
    (task,) = own_api.flow(both.stdout.strip())["tasks"]
    assert (task["program"], task["parameters"]) == ("B", {"n": 1})
    alone = flower("fork", flow, "--workflow-version", "2").stdout.strip()
    assert own_api.flow(alone)["tasks"][0]["program"] == "B"
    nothing = flower("fork", flow)
    assert (nothing.exit_code, "--workflow-version" in nothing.stderr) == (2, True)
    odd = flower("fork", flow, "--workflow-version", "2", "--flow-param", "day=tue")
    assert (odd.exit_code, "has no parameter 'day'" in _said(odd.stderr)) == (1, True)
    wrong = flower("register", "daily", "--workflow-version", "9")
    assert (wrong.exit_code, "no version 9" in wrong.stderr) == (1, True)


def test_what_failed_is_rerun_as_the_newest_version_has_it(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("mended", {"program": "A"}, {"program": "A"})
    flow = flower("register", "mended").stdout.split()[0]
    assert flower("ignore", flow, "1").exit_code == 0
    own_api.define("mended", {"program": "B"}, {"program": "B"})
    done = flower("rerun", flow, "--task", "1", "--workflow-version", "newest")
    assert (done.exit_code, "task 1 " in _said(done.stdout)) == (0, True)
    assert [task["program"] for task in own_api.flow(flow)["tasks"]] == ["B", "A"]
    newest = own_api.flow(flow)["tasks"][0]["workflowVersion"]
    assert f"{newest[:12]} for task 1, by a rerun" in flower("show", flow).stdout
    assert f"version    {newest[:12]}, by a rerun" in flower("show", flow, "--task", "1").stdout
    assert "by a rerun" not in flower("show", flow, "--task", "2").stdout
    own_api.define("mended", {"program": "B"}, {"program": "B"}, {"program": "C"})
    refused = flower("rerun", flow, "--task", "1", "--workflow-version", "newest")
    assert (refused.exit_code, "task 3 is new in it" in refused.stderr) == (1, True)
    assert "Fork the flow" in " ".join(refused.stderr.split())


def test_two_files_of_one_name_are_both_deployed(flower: Flower, own_api: RunningApi, folder: Path) -> None:
    for name, workflow in (("here", "nightly"), ("there", "weekly")):
        (folder / name).mkdir()
        text = FLOWS.replace("TIMEOUT", "5m").replace("nightly", workflow)
        text = text.replace("list_rows", f"list_{name}").replace("count", f"count_{name}")
        (folder / name / "same_name.py").write_text(text)
    done = flower("deploy", "here/same_name.py", "there/same_name.py", "--yes")
    assert done.exit_code == 0, done.output
    names = {one["taskId"] for one in own_api.client.get("/workflows").json()["workflows"]}
    assert any("weekly" in name for name in names), names
    assert len(names) >= 2


def test_a_file_of_a_package_is_deployed_as_it_is_run(
    flower: Flower, own_api: RunningApi, folder: Path
) -> None:
    package = folder / "my_package_of_flows"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "lengths.py").write_text('TIMEOUT = "5m"\n')
    (package / "flows.py").write_text(
        "from .lengths import TIMEOUT as length\n" + FLOWS.replace('"TIMEOUT"', "length")
    )
    done = flower("deploy", "my_package_of_flows/flows.py", "--yes")
    assert done.exit_code == 0, done.output


def test_what_a_plan_warned_of_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    said: set[str] = set()
    for answer in (b'{"warnings":["one"]}', b'{"warnings":["one","two"]}'):
        say_warnings(answer, said)
    assert capsys.readouterr().err.splitlines() == ["warning: one", "warning: two"]
