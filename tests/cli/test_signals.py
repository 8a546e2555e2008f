"""The commands signal and answer: what they do, what they say, and their exit codes."""

import json

from api.serving import RunningApi
from cli.flower_command import Flower


def test_a_signal_and_an_answer_let_a_flow_go_on(flower: Flower, own_api: RunningApi) -> None:
    own_api.define(
        "orders",
        {"program": "@event", "parameters": {"name": "paid", "key": "7"}},
        {"program": "@approval", "parameters": {"title": "Send it?", "of": 1}},
    )
    flow = own_api.register("orders")
    assert flower("why", flow).stdout == (
        "task 1 @event: waits for the signal paid 7\ntask 2 @approval: waits for 1\n"
    )
    done = flower("signal", "paid", '{"n": 7}', "--flow", flow, "--key", "7", "--id", "one")
    assert done.stdout == "taken by task 1\n", done.output
    again = flower("signal", "paid", "--flow", flow, "--key", "7", "--id", "one")
    assert again.stdout == "it came before; it counts once\n"
    assert flower("signal", "shipped", "--flow", flow).stdout == "kept until a task awaits it\n"
    assert flower("signal", "paid", "--key", "8").stdout == "no task awaits it; it is not kept\n"
    assert "waits for the approval Send it?" in flower("why", flow).stdout
    assert flower("answer", flow, "2").exit_code == 2
    assert flower("answer", flow, "2", "--yes", "--no").exit_code == 2
    assert flower("answer", flow, "2", '{"approved": 1}').exit_code == 1
    assert flower("answer", flow, "2", "--yes").stdout == "task 2 has its answer\n"
    assert flower("answer", flow, "2", "--yes").exit_code == 1
    assert own_api.flow(flow)["status"] == "Finish"


def test_a_signal_to_all_that_await_it(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("orders", {"program": "@event", "parameters": {"name": "open"}})
    flows = [own_api.register("orders") for _ in range(3)]
    assert flower("signal", "open", "--first", "--id", "x").stdout == "taken by 1 task\n"
    assert flower("signal", "open", "--first", "--id", "x").stdout == "a flow got it before\n"
    assert json.loads(flower("signal", "open", "--json").stdout)["taken"] == 2
    assert flower("signal", "open", "--first", "--flow", flows[0]).exit_code == 2
    assert flower("signal", "open", "--keep", "1h", "--flow", flows[0]).exit_code == 2
    assert "it is kept until" in flower("signal", "open", "--keep", "1h").stdout
    assert {own_api.flow(flow)["status"] for flow in flows} == {"Finish"}


def test_kept_signals_are_listed_and_deleted(flower: Flower, own_api: RunningApi) -> None:
    assert "no signal is kept" in flower("signals").stdout
    flower("signal", "paid", "--key", "[7]", "--keep", "1h", "--id", "shop/[b]1")
    flower("signal", "paid", "--first", "--keep", "1h", "--id", "two")
    listed = flower("signals", "list").stdout
    assert all(words in listed for words in ("shop/[b]1", "[7]", "the first"))
    assert [one["id"] for one in json.loads(flower("signals", "--json").stdout)["signals"]] == [
        "shop/[b]1",
        "two",
    ]
    assert flower("signals", "delete", "shop/[b]1", input="n\n").exit_code == 1
    assert flower("signals", "delete", "shop/[b]1", input="y\n").exit_code == 0
    again = flower("signals", "delete", "shop/[b]1", "--yes")
    assert (again.exit_code, "no signal is kept under the id" in again.output) == (1, True)
    assert flower("signals", "delete", "two", "--yes").stdout == "signal two: it is kept no more\n"
    assert own_api.client.get("/signals").json()["signals"] == []


async def test_approvals_are_listed_shown_and_answered(flower: Flower, own_api: RunningApi) -> None:
    assert flower("approvals").stdout == "nothing waits for an answer\n"
    own_api.define(
        "publish",
        {"program": "@approval", "taskName": "ok", "parameters": {"title": "Send it?", "shows": {"rows": 7}}},
    )
    flow = own_api.register("publish")
    await own_api.project()
    listed = flower("approvals", "list", "--workflow", "publish").stdout
    assert flow in listed
    assert "Send it?" in listed
    assert json.loads(flower("approvals", "--json").stdout)["approvals"][0]["taskName"] == "ok"
    assert flower("approvals", "list", "--role", "ops").stdout == "nothing waits for an answer\n"
    assert flower("approvals", "list", "--mine", "--for", "ann").exit_code == 2
    assert flow in flower("approvals", "list", "--mine").stdout
    shown = flower("approvals", "show", flow, "ok").stdout
    assert "Send it?" in shown
    assert "shows rows 7" in shown
    assert json.loads(flower("approvals", "show", flow, "ok", "--json").stdout)["isAsked"]
    assert flower("approvals", "link", flow, "ok", "--for", "ann").exit_code == 1  # there is no secret
    assert flower("approvals", "answer", flow, "ok", "--yes").stdout == "task ok has its answer\n"
    await own_api.project()
    assert "not now" in flower("approvals", "show", flow, "ok").stdout
