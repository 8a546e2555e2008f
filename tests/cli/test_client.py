"""The commands that talk to the API: what they print, what --json gives, and their exit codes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from api.serving import RunningApi
from cli.flower_command import Flower
from cli.whole_command import app
from flower_engine.runtime.deciding import Decider

TRACEBACK = """Traceback (most recent call last):
  File "/srv/people/nightly.py", line 3, in load
    return client.fetch(table)
           ^^^^^^^^^^^^^^^^^^^
  File "/srv/people/.venv/lib/python3.11/site-packages/client/core.py", line 70, in fetch
    raise LookupError(table)
LookupError: no such table: order
"""


async def failed(api: RunningApi, workflow: str = "nightly") -> str:
    """A flow whose second task has failed for good, projected."""
    api.define(workflow, {}, {"parameters": {"TABLE": "order"}, "dependsOn": [1]}, {}, {"dependsOn": [1]})
    flow = api.register(workflow)
    async with api.engine() as engine:
        await engine.finish(*await engine.claim())
        two, four = sorted(await engine.claim(), key=lambda claim: claim.task)
        payload = {"type": "LookupError", "message": "no such table: order", "traceback": TRACEBACK}
        await engine.fail(two, payload=json.dumps(payload).encode())
        await engine.finish(four)
    await api.project()
    return flow


async def test_register_prints_the_flow_and_takes_what_the_api_takes(
    flower: Flower, own_api: RunningApi
) -> None:
    own_api.define("daily", {"parameters": {"DAY": "today"}})
    done = flower(
        "register",
        "daily",
        "--param",
        "DAY=monday",
        "--task-param",
        "1:N=[1]",
        "--key",
        "k",
        "--priority",
        "-3",
    )
    assert done.exit_code == 0, done.output
    (task,) = own_api.flow(done.stdout.strip())["tasks"]
    assert (task["parameters"], task["taskPriority"]) == ({"DAY": "monday", "N": [1]}, -3)
    assert "its key was known" in flower("register", "daily", "--key", "k").stdout
    again = json.loads(flower("register", "daily", "--key", "k", "--json").stdout)
    assert again["duplicate"] is True
    assert own_api.flow(again["taskFlowId"])["registeredBy"] == "cli"
    caller = f"00-{'ab' * 16}-{'cd' * 8}-01"
    traced = flower("register", "daily", "--traceparent", caller).stdout.strip()
    assert own_api.client.get(f"/flows/{traced}/events").json()["events"][0]["event"]["traceparent"] == caller
    refused = flower("register", "daily", "--traceparent", "none")
    assert refused.exit_code == 1 and "traceparent" in refused.stderr


async def test_register_waits_no_longer_than_it_is_told(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("slow", {})
    waited = flower("register", "slow", "--wait", "--timeout", "0")
    assert waited.exit_code == 4
    assert "1 waiting" in waited.stderr


async def test_errors_and_show_say_what_failed_and_why(flower: Flower, own_api: RunningApi) -> None:
    flow = await failed(own_api)
    listed = flower("errors")
    assert flow in listed.stdout and "LookupError: no such table: order" in listed.stdout
    assert json.loads(flower("errors", "--match", "TABLE", "--json").stdout)["tasks"][0]["taskFlowId"] == flow
    assert "nothing has failed" in flower("errors", "--match", "else").stdout
    shown = flower("show", flow).stdout
    assert shown.index("waits for 2") < shown.index("task 2 A failed, attempt 1: LookupError")
    assert shown.count("no such table: order") == 1
    assert "client.fetch(table)" in shown and "attempt 1 " in shown
    assert "core.py" not in shown and "frames of libraries left out: 1" in shown
    assert "core.py" in flower("show", flow, "--traceback").stdout
    assert json.loads(flower("show", flow, "--json").stdout)["taskFlowId"] == flow
    one = flower("show", flow, "--task", "2").stdout
    assert '"TABLE":"order"' in one and "failed" in one


async def test_flows_events_workers_and_workflows_are_listed(flower: Flower, own_api: RunningApi) -> None:
    flow = await failed(own_api)
    assert flow in flower("flows", "--status", "Suspend", "--workflow", "nightly").stdout
    assert flow not in flower("flows", "--status", "Finish").stdout
    assert json.loads(flower("flows", "--json").stdout)["flows"][0]["taskFlowId"] == flow
    history = flower("events", flow).stdout.splitlines()
    assert "flow.registered" in history[0] and "task.finished" in history[-1]
    lines = [json.loads(line) for line in flower("events", flow, "--json").stdout.splitlines()]
    assert [line["event"]["v"] for line in lines] == list(range(1, len(history) + 1))
    assert "no worker is alive" in flower("workers").stdout
    assert "nightly" in flower("workflows").stdout
    assert "the one before" in flower("workflows", "nightly").stdout


async def test_an_operator_makes_a_flow_go_on(flower: Flower, own_api: RunningApi) -> None:
    flow = await failed(own_api)
    assert "is paused" in flower("pause", flow, "--reason", "look").stdout
    assert "is resumed" in flower("resume", flow).stdout
    assert "will run again" in flower("rerun", flow, "--failed").stdout
    assert flower("rerun", flow, "--failed").exit_code == 1
    assert "is ignored" in flower("ignore", flow, "2").stdout
    assert "waits again" in flower("unignore", flow, "2").stdout
    assert "is ignored" in flower("ignore", flow, "2", "--result", '{"rows": [0]}').stdout
    await own_api.project()
    assert own_api.flow(flow)["tasks"][1]["result"] == {"rows": [0]}
    assert "waits again" in flower("unignore", flow, "2").stdout
    assert json.loads(flower("ignore", flow, "2", "3", "--json").stdout)["tasks"] == [2, 3]
    fork = flower("fork", flow, "--from", "2", "--param", "TABLE=orders").stdout.strip()
    assert own_api.flow(fork)["tasks"][1]["parameters"] == {"TABLE": "orders"}
    assert "is cancelled" in flower("cancel", fork).stdout
    refused = flower("cancel", fork)
    assert refused.exit_code == 1
    assert "it has ended (Ignore)" in refused.stderr and refused.stdout == ""


async def test_many_flows_are_counted_asked_about_and_operated_on(
    flower: Flower, own_api: RunningApi
) -> None:
    flow = await failed(own_api)
    assert "1 flow matches" in flower("bulk", "resume", "--match", "table", "--dry-run").stdout
    mended = ("--match", "table", "--workflow-version", "newest", "--dry-run")
    assert "1 flow matches" in flower("bulk", "rerun", *mended).stdout
    named = flower("bulk", "rerun", "--flow", flow, "--dependents", "--keep-answers", "--dry-run").stdout
    assert f"- {flow} nightly: " in named and "run again" in named
    assert "it is paused" in flower("bulk", "pause", "--flow", "last", "--dry-run").stdout
    assert "0 flows match" in flower("bulk", "pause", "--trunk", flow, "--dry-run").stdout
    moved = flower("bulk", "priority", "--to", "-3", "--flow", flow, "--yes")
    assert moved.stdout.strip() == "1 done, 0 refused"
    assert flower("bulk", "resume", "--match", "table", input="n\n").exit_code == 1
    done = flower("bulk", "resume", "--status", "Suspend", "--yes")
    assert (done.exit_code, done.stdout.strip()) == (0, "1 done, 0 refused")
    await own_api.project()
    assert own_api.flow(flow)["tasks"][1]["status"] == "Wait"
    refused = flower("bulk", "resume", "--workflow", "nightly", "--yes", "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["refused"] == 1


async def test_of_maps_of_many_flows_only_what_has_changed_runs_again(
    flower: Flower, own_api: RunningApi
) -> None:
    over = {"over": {"$from": "files"}, "program": "A", "as": "file"}
    files: dict[str, Any] = {"taskName": "files", "program": "A", "dependsOn": []}
    own_api.define("mapping", files, {"taskName": "all", "program": "@map", "parameters": over})
    flow = own_api.register("mapping")
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        decider = Decider(engine.client, engine.partition, "w1")
        await engine.finish(*await engine.claim(), payload=b"[1,2]")
        await decider.run_once()
        await engine.work_off()
        await decider.run_once()
        assert flower("rerun", flow, "--task", "files", "--changed").exit_code == 0
        await engine.finish(*await engine.claim(), payload=b'{"files":[1,2,3]}')
        await decider.run_once()  # that is no list
        await own_api.project()
        mended = {"over": {"$from": "files", "path": "/files"}, "program": "A", "as": "file"}
        own_api.define("mapping", files, {"taskName": "all", "program": "@map", "parameters": mended})
        words = ("bulk", "rerun", "--status", "Suspend", "--changed", "--workflow-version", "newest")
        assert "1 task will keep what items came to" in flower(*words, "--dry-run").stdout
        assert flower(*words, "--yes").stdout.strip() == "1 done, 0 refused"
        await decider.run_once()
        await own_api.project()
        items = own_api.flow(flow)["tasks"][4:]
        assert [(one["status"], one["takenFrom"]) for one in items] == [
            *(("Finish", 3), ("Finish", 4), ("Wait", None))
        ]
        await engine.check()


@pytest.mark.parametrize(
    "words",
    [
        ("rerun", "x"),
        ("rerun", "x", "--task", "1", "--all"),
        ("rerun", "x", "--all", "--only", "--dependents"),
        ("rerun", "x", "--all", "--only", "--changed"),
        ("rerun", "x", "--task", "1", "--param", "novalue"),
        ("ignore", "x"),
        ("bulk", "delete"),
        ("bulk", "priority"),
        ("bulk", "pause", "--to", "3"),
        ("bulk", "pause", "--changed"),
        ("bulk", "pause", "--keep-answers"),
        ("bulk", "rerun", "--changed", "--dependents"),
        ("register",),
    ],
)
def test_wrong_usage_exits_with_2(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, list(words)).exit_code == 2


def test_unknown_things_exit_with_1_and_the_apis_words(flower: Flower) -> None:
    for words in (("show", "nonsense"), ("register", "nobody"), ("workflows", "nobody"), ("resume", "x")):
        answer = flower(*words)
        assert answer.exit_code == 1, answer.output
        assert answer.stderr.startswith("error: ")


def test_an_api_that_cannot_be_reached_exits_with_5_and_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLOWER_URL", "http://127.0.0.1:9")
    answer = CliRunner().invoke(app, ["flows"])
    assert answer.exit_code == 5
    assert "flower up" in answer.stderr and "FLOWER_URL" in answer.stderr


def test_a_token_is_shown_and_asked_for(
    start_api: Callable[..., RunningApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = start_api(api_tokens="alice:s3cret,ci:looks:read")
    monkeypatch.setenv("FLOWER_URL", guarded.url)
    runner = CliRunner()
    asked = runner.invoke(app, ["flows"])
    assert asked.exit_code == 1 and "FLOWER_TOKEN" in asked.stderr
    monkeypatch.setenv("FLOWER_TOKEN", "looks")
    assert runner.invoke(app, ["flows"]).exit_code == 0
    assert "may only read" in runner.invoke(app, ["cancel", "x"]).stderr


async def test_parameters_are_corrected_and_taken_away(flower: Flower, own_api: RunningApi) -> None:
    flow = await failed(own_api)
    done = flower("rerun", flow, "--task", "2", "--param", "table=orders", "--param", "NEW=1")
    assert done.exit_code == 0, done.output
    await own_api.project()
    assert own_api.flow(flow)["tasks"][1]["parameters"] == {"TABLE": "orders", "NEW": 1}
    assert "warning: task 2: no live worker says what program 'A' takes" in done.stderr
    assert flower("rerun", flow, "--task", "2", "--unset", "NEW").exit_code == 0
    await own_api.project()
    assert own_api.flow(flow)["tasks"][1]["parameters"] == {"TABLE": "orders"}
    refused = flower("rerun", flow, "--task", "2", "--unset", "OTHER")
    assert refused.exit_code == 1
    assert "none of the tasks has a parameter 'OTHER' to take away; they have TABLE" in refused.stderr
