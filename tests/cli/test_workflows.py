"""``flower workflows``: definitions from files, shown, replaced and deleted."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.serving import RunningApi
from cli.flower_command import Flower


def written(folder: Path, content: Any) -> str:
    file = folder / "workflows.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def daily(**more: Any) -> dict[str, Any]:
    return {"taskId": "daily", "tasks": [{"taskSeq": 1, "program": "A"}], **more}


def test_a_file_defines_and_replaces_a_workflow(flower: Flower, own_api: RunningApi, tmp_path: Path) -> None:
    assert (
        "workflow daily: defined, 1 task" in flower("workflows", "apply", written(tmp_path, daily())).stdout
    )
    assert "workflow daily: replaced" in flower("workflows", "apply", written(tmp_path, daily())).stdout
    assert flower("register", "daily").exit_code == 0


def test_what_show_prints_can_be_applied_again(flower: Flower, own_api: RunningApi, tmp_path: Path) -> None:
    own_api.define("daily", {"retry": {"maxAttempts": 3}, "parameters": {"A": 1.0}}, {"dependsOn": []})
    for words in (("daily", "--json"), ("--json", "daily"), ("show", "daily", "--json")):
        shown = flower("workflows", *words).stdout
        again = flower("workflows", "apply", "-", input=shown)
        assert "replaced, 2 tasks" in again.stdout, again.output
        assert flower("workflows", "daily", "--json").stdout == shown


def test_many_workflows_of_a_file_are_told_one_by_one(
    flower: Flower, own_api: RunningApi, tmp_path: Path
) -> None:
    broken = {"taskId": "broken", "tasks": [{"taskSeq": 1, "program": "A", "dependsOn": [7]}]}
    done = flower("workflows", "apply", written(tmp_path, [broken, daily()]))
    assert done.exit_code == 1
    assert "workflow daily: defined" in done.stdout and "'broken' cannot be run" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1", "is not JSON"),
        ("7", "is no object"),
        ("[7]", "workflow 1 is no object"),
        ({"tasks": []}, "has no taskId"),
        ({"taskId": 7, "tasks": []}, "has no taskId"),
    ],
)
def test_a_file_that_is_no_definition_is_wrong_usage(
    flower: Flower, tmp_path: Path, content: Any, said: str
) -> None:
    wrong = flower("workflows", "apply", written(tmp_path, content))
    assert wrong.exit_code == 2 and said in " ".join(wrong.stderr.replace("│", "").split())
    assert flower("workflows", "apply", str(tmp_path / "none.json")).exit_code == 2


def test_a_file_without_a_name_takes_it_from_the_flag(
    flower: Flower, own_api: RunningApi, tmp_path: Path
) -> None:
    tasks = {"tasks": [{"taskSeq": 1, "program": "A"}]}
    assert (
        "workflow apply: defined"
        in flower("workflows", "apply", written(tmp_path, tasks), "--name", "apply").stdout
    )
    assert flower("workflows", "show", "apply").exit_code == 0
    assert flower("workflows", "apply", written(tmp_path, daily()), "--name", "other").exit_code == 2


def test_a_definition_is_deleted_when_that_is_confirmed(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("daily", {})
    assert flower("workflows", "delete", "daily", input="n\n").exit_code == 1
    assert flower("workflows", "daily").exit_code == 0
    assert "deleted" in flower("workflows", "delete", "daily", "--yes").stdout
    gone = flower("workflows", "daily")
    assert gone.exit_code == 1 and "no task definition" in gone.stderr
