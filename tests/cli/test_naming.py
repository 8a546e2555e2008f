"""Flows by the beginning of their id, or as ``last``, in every command that takes one; and completion."""

import json
import re

import pytest
from typer.testing import CliRunner

from api.serving import RunningApi
from cli.flower_command import Flower
from cli.whole_command import app
from flower_cli.commands.completion import complete_flow, complete_program, complete_status, complete_workflow


async def test_last_is_the_flow_registered_last_projected_or_not(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("daily", {})
    assert "no flow was registered yet" in flower("show", "last").stderr
    first = own_api.register("daily")
    await own_api.project()
    assert first in flower("show", "last").stdout
    second = own_api.register("daily")  # in the log only
    assert json.loads(flower("show", "last", "--json").stdout)["taskFlowId"] == second
    assert f"flow {second}: is cancelled" in flower("cancel", "last").stdout
    assert f"flow {second} is Cancelled" in flower("why", "last").stdout


async def test_the_beginning_of_an_id_names_the_one_flow_that_has_it(
    flower: Flower, own_api: RunningApi
) -> None:
    own_api.define("daily", {})
    one, two = own_api.register("daily"), own_api.register("daily")
    for _ in ("in the log only", "in Postgres"):
        short = next(one[:length] for length in range(1, 37) if not two.startswith(one[:length]))
        assert one in flower("show", short).stdout
        assert one in flower("show", short.upper()).stdout
        assert one in flower("diff", f"{short}@9900-01-01", two).stdout
        assert flower("events", short, "--json").exit_code == 0
        both = flower("pause", one[:8])
        assert both.exit_code == 1 and one in both.stderr and two in both.stderr
        await own_api.project()
    nobody = flower("show", "ffffffff")
    assert nobody.exit_code == 1 and "no flow has the id 'ffffffff'" in nobody.stderr


def test_every_command_that_takes_a_flow_takes_a_short_name(own_api: RunningApi, flower: Flower) -> None:
    own_api.define("daily", {}, {})
    own_api.register("daily")
    for words in (
        ("priority", "last", "-5"),
        ("pause", "last"),
        ("resume", "last"),
        ("ignore", "last", "1"),
        ("unignore", "last", "1"),
        ("fork", "last", "--from", "1"),
        ("cancel", "last"),
        ("rerun", "last", "--all"),
        ("events", "last"),
        ("why", "last"),
        ("diff", "last", "last"),
    ):
        done = flower(*words)
        assert done.exit_code == 0, (words, done.output)


@pytest.mark.parametrize("name", ["%zz", "01%", "last2", "0" * 65, "\N{SNOWMAN}", "%2e%2e%2fflows"])
def test_names_that_no_flow_can_have_are_refused(api: RunningApi, name: str) -> None:
    assert api.client.get(f"/flow-names/{name}").status_code in (404, 422)


def test_what_was_done_is_said_of_one_task_and_of_many(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("daily", {}, {"dependsOn": []}, {"dependsOn": []})
    own_api.register("daily")
    assert re.search(r"flow \S+: task 1 is ignored \(version", flower("ignore", "last", "1").stdout)
    assert re.search(r": tasks 2, 3 are ignored \(", flower("ignore", "last", "2", "3").stdout)
    assert "1 unit at once" in flower("limit", "queue", "q", "--max-running", "1").stdout
    assert "2 units at once" in flower("limit", "queue", "q", "--max-running", "2").stdout


async def test_a_cancelled_flow_is_called_cancelled(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("daily", {}, {})
    flow = own_api.register("daily")
    cancelled = flower("cancel", flow).stdout
    assert "is cancelled, tasks 1, 2 are passed over" in cancelled
    await own_api.project()
    for words in (("flows",), ("show", flow), ("diff", flow, flow)):
        assert "Cancelled" in flower(*words).stdout
    assert own_api.flow(flow)["status"] == "Ignore"
    refused = flower("flows", "--status", "cancelled")
    assert refused.exit_code == 2
    assert "--status Ignore" in refused.stderr
    assert flow in flower("flows", "--status", "Ignore").stdout


async def test_the_shell_completes_flows_workflows_programs_and_statuses(
    flower: Flower, own_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flower_cli.commands.completion._SECONDS", 60.0)  # nobody types here
    own_api.define("daily", {})
    own_api.define("weekly", {}, {})
    flow = own_api.register("daily")
    await own_api.project()
    assert [one for one, _ in complete_flow("")] == ["last", flow]
    assert [one for one, _ in complete_flow(flow[:5])] == [flow]
    assert complete_workflow("w") == [("weekly", "2 tasks")]
    assert complete_program("") == []
    assert complete_status("s") == [("Suspend", "")]
    asked = {"_FLOWER_COMPLETE": "complete_bash", "COMP_WORDS": "flower register d", "COMP_CWORD": "2"}
    offered = CliRunner().invoke(app, [], env=asked, prog_name="flower")
    assert offered.stdout.split() == ["daily"], offered.output


def test_completion_is_silent_when_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_URL", "http://127.0.0.1:9")
    assert complete_flow("") == complete_workflow("") == complete_program("") == []
