"""``flower deploy`` and ``flower export`` with schedules: from Python, YAML and JSON, and back."""

import json
from pathlib import Path

import pytest

from api.serving import RunningApi
from cli.flower_command import Flower
from cli.test_deploy import folder

__all__ = ["folder"]

FLOWS = """
from datetime import date
from flower_engine import program, slot, workflow


@program
def list_rows(day: date) -> list[int]:
    return [1, 2]


@workflow("nightly")
def nightly(day: date) -> list[int]:
    return list_rows.step(day)


nightly.schedule("in-berlin", cron="CRON", timezone="Europe/Berlin", window="2h").given(day=slot.date)
nightly.schedule("hourly", every="1h").given(slot.date)
"""


def said_of(text: str) -> str:
    return " ".join(text.split())


def write(folder: Path, name: str, cron: str = "0 3 * * *", text: str = FLOWS) -> None:
    (folder / f"{name}.py").write_text(text.replace("CRON", cron))
    from flower_engine.programs.registry import registry  # noqa: PLC0415

    registry.forget("list_rows")


def test_schedules_of_a_module_are_part_of_its_plan(
    flower: Flower, own_api: RunningApi, folder: Path
) -> None:
    write(folder, "first")
    done = flower("deploy", "first.py", "--yes", "--source", "mine")
    assert done.exit_code == 0, done.output
    assert "+ schedule in-berlin new" in said_of(done.stdout) and "deployed: 3 new" in done.stdout
    assert flower("deploy", "first.py", "--check", "--source", "mine").exit_code == 0
    own_api.sql("UPDATE ms_schedule SET overlap = 'allow' WHERE name = 'in-berlin'")
    text = FLOWS.replace('nightly.schedule("hourly", every="1h").given(slot.date)\n', "")
    write(folder, "second", "0 4 * * *", text)
    plan = flower("deploy", "second.py", "--check", "--prune", "--source", "mine")
    assert plan.exit_code == 6, plan.output
    said = said_of(plan.stdout)
    assert 'cron "0 3 * * *" -> "0 4 * * *"' in said and "drift: edited with SQL" in said
    assert "- schedule hourly pruned" in said and "would change: 1 changed, 1 unchanged, 1 pruned" in said
    answer = flower("deploy", "second.py", "--yes", "--prune", "--source", "mine", "--json")
    assert {one["schedule"]: one["action"] for one in json.loads(answer.stdout)["schedules"]} == {
        "in-berlin": "changed",
        "hourly": "pruned",
    }
    assert [one["schedule"] for one in own_api.client.get("/schedules").json()["schedules"]] == ["in-berlin"]


@pytest.mark.parametrize(("flag", "suffix"), [("--yaml", "yaml"), ("--json", "json")])
def test_what_is_exported_changes_nothing_when_it_is_deployed(
    flower: Flower, own_api: RunningApi, folder: Path, flag: str, suffix: str
) -> None:
    write(folder, "whole")
    assert flower("deploy", "whole.py", "--yes").exit_code == 0
    own_api.sql(
        "INSERT INTO ms_schedule (name, task_id, at, parameters, except_dates, jitter_seconds, priority)"
        " VALUES ('once: at \"noon\"', 'nightly', '2099-01-05 12:00:00.5+00', '{\"day\": \"2026-01-05\"}',"
        " '[\"2099-12-25\"]', 1.5, -7)"
    )
    own_api.sql("INSERT INTO ms_schedule (name, task_id, cron) VALUES ('bad', 'nightly', 'x')")
    exported = flower("export", flag)
    assert exported.exit_code == 0 and "bad is left out" in exported.stderr, exported.output
    (folder / f"all.{suffix}").write_text(exported.stdout)
    plan = flower("deploy", f"all.{suffix}", "--check", "--json")
    actions = {one["schedule"]: one["action"] for one in json.loads(plan.stdout)["schedules"]}
    assert plan.exit_code == 0, plan.output
    assert actions == dict.fromkeys(("hourly", "in-berlin", 'once: at "noon"'), "unchanged")
    own_api.sql("DELETE FROM ms_schedule WHERE name <> 'bad'")
    assert flower("deploy", f"all.{suffix}", "--yes").exit_code == 0
    (folder / "again.txt").write_text(flower("export", flag).stdout)
    assert (folder / "again.txt").read_text() == exported.stdout


def test_what_is_wrong_with_a_schedule_deploys_nothing(
    flower: Flower, own_api: RunningApi, folder: Path
) -> None:
    write(folder, "wrong", "61 * * * *")
    refused = flower("deploy", "wrong.py", "--yes")
    assert refused.exit_code == 1 and "cron: " in refused.stderr and "wrong.py" in refused.stderr
    (folder / "wrong.yaml").write_text("schedule: x\ntaskId: nobody\ncron: '@daily'\n")
    refused = flower("deploy", "wrong.yaml", "--yes")
    assert refused.exit_code == 1 and "no workflow 'nobody'" in refused.stderr
    applied = flower("workflows", "apply", "wrong.yaml")
    assert applied.exit_code == 1 and "flower deploy" in applied.stderr
    assert own_api.client.get("/schedules").json()["schedules"] == []
