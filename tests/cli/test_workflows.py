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


ALIASES = "\n".join(
    ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
)
"""A few lines that mean billions of values."""
NIGHTLY = """
taskId: nightly            # every night
labels: {team: dwh, country: no}
parametersSchema:
  properties:
    day: {type: string, default: 2026-01-05}
returns: {$from: combine}
tasks:
  - {taskSeq: 1, taskName: list_files, program: A, parameters: {day: {$param: day}, n: 010, at: 1:30, e: 1e3}}
  - taskSeq: 2
    taskName: combine
    program: A
    dependsOn: [list_files]
    parameters:
      first: {$from: list_files, path: /0/size}
---
- taskId: second
  tasks: [{taskSeq: 1, program: A, parameters: &shared {a: ~, b: [yes, true]}}]
- taskId: third
  tasks: [{taskSeq: 1, program: A, parameters: {<<: *shared, c: "no"}}]
---
"""


@pytest.mark.parametrize("name", ["workflows.yaml", "workflows.yml", "-"])
def test_yaml_defines_workflows_document_by_document(
    flower: Flower, own_api: RunningApi, tmp_path: Path, name: str
) -> None:
    if name == "-":
        applied = flower("workflows", "apply", "-", input=NIGHTLY)
    else:
        (tmp_path / name).write_text(NIGHTLY)
        applied = flower("workflows", "apply", str(tmp_path / name))
    assert applied.stdout.count(": defined") == 3, applied.output
    shown = own_api.client.get("/workflows/nightly").json()
    assert shown["labels"] == {"team": "dwh", "country": "no"}
    assert shown["parametersSchema"]["properties"]["day"]["default"] == "2026-01-05"
    first, second = shown["tasks"]
    assert first["parameters"] == {"day": {"$param": "day"}, "n": 10, "at": "1:30", "e": 1000}
    assert (second["dependsOn"], second["taskName"]) == ([1], "combine")
    third = own_api.client.get("/workflows/third").json()["tasks"][0]
    assert third["parameters"] == {"a": None, "b": ["yes", True], "c": "no"}
    file = tmp_path / "again.json"
    file.write_text(flower("workflows", "nightly", "--json").stdout)
    assert "replaced, 2 tasks" in flower("workflows", "apply", str(file)).stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("taskId: [", "is not YAML: line 1, column"),
        ("taskId: a\ntaskId: b", "line 2, column 1: the key 'taskId' stands twice"),
        ("1: a", "a key is no text"),
        ("taskId: !!python/object:os.system x", "could not determine a constructor"),
        ("a: .nan", "nan is no number that JSON has"),
        ("a: &a [*a]", "it is nested deeper than"),
        (ALIASES, "with its aliases it has more than 1000000 values"),
        ("[" * 1_200, "is not YAML"),
        ("--- a\n--- b", "document 1 is no object"),
        ("- {taskId: a, tasks: []}\n- 7", "workflow 2 is no object"),
        ("# nothing", "has no workflows"),
        ("a: " + "9" * 5000, "is not YAML: line 1"),
    ],
)
def test_yaml_that_is_no_definition_is_wrong_usage(
    refusing: Flower, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(content)
    refused = refusing("workflows", "apply", str(file))
    assert refused.exit_code == 2
    assert said in " ".join(refused.stderr.replace("│", " ").split())


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
    refusing: Flower, tmp_path: Path, content: Any, said: str
) -> None:
    wrong = refusing("workflows", "apply", written(tmp_path, content))
    assert wrong.exit_code == 2 and said in " ".join(wrong.stderr.replace("│", "").split())
    assert refusing("workflows", "apply", str(tmp_path / "none.json")).exit_code == 2


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
