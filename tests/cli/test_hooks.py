"""``flower hooks``: what people type about hooks, and what they are shown."""

import json
import threading

from api.serving import RunningApi
from cli.flower_command import Flower


def test_a_hook_is_added_shown_listed_and_removed(flower: Flower, own_api: RunningApi) -> None:
    assert "no hook is set" in flower("hooks").stdout
    own_api.define("etl", {})
    made = flower(
        *("hooks", "add", "ops", "--webhook", "https://example.com/x", "--on", "flow.failed"),
        *("--on", "flow.late", "--late-after", "90m", "--workflow", "etl", "--secret", "OPS"),
    )
    assert made.exit_code == 0, made.output
    for words in (made.stdout, flower("hooks", "show", "ops").stdout):
        assert "flow.failed, flow.late" in words and "5400 s" in words and "OPS" in words
    assert "https://example.com/x" in flower("hooks", "list").stdout
    flower(
        "hooks",
        "add",
        "chat",
        "--python",
        "to-chat",
        "--on",
        "flow.finished",
        "--paused",
        "--reason",
        "later",
    )
    assert "paused later" in flower("hooks").stdout
    assert json.loads(flower("hooks", "show", "chat", "--json").stdout)["kind"] == "python"
    assert "nothing" in flower("hooks", "deliveries", "ops").stdout
    assert flower("hooks", "remove", "ops", input="n\n").exit_code == 1
    assert flower("hooks", "remove", "ops", "--yes").exit_code == 0
    assert [one["hook"] for one in json.loads(flower("hooks", "--json").stdout)["hooks"]] == ["chat"]


def test_what_is_wrong_is_said(flower: Flower, own_api: RunningApi) -> None:
    assert flower("hooks", "add", "x", "--on", "flow.failed").exit_code == 2
    assert (
        flower("hooks", "add", "x", "--on", "flow.failed", "--command", "a", "--python", "b").exit_code == 2
    )
    assert flower("hooks", "add", "x", "--webhook", "https://example.com/").exit_code == 2
    refused = flower("hooks", "add", "x", "--on", "flow.failed", "--webhook", "example.com")
    assert refused.exit_code == 1 and "target" in refused.stderr
    assert flower("hooks", "show", "x").exit_code == 1
    own_api.sql("INSERT INTO ms_hook (name, occasions, kind, target) VALUES ('bad', '{x}', 'webhook', 'y')")
    assert "none of" in flower("hooks").stdout


def test_a_hook_is_tried_and_told_again(flower: Flower, own_api: RunningApi) -> None:
    flower("hooks", "add", "ops", "--on", "flow.failed", "--webhook", "https://example.com/x")
    waits = flower("hooks", "test", "ops", "--wait", "0")
    assert (waits.exit_code, "no projector has tried it yet" in waits.stdout) == (1, True)

    def answer() -> None:
        while not own_api.sql(
            "UPDATE kr_hook_delivery SET state = 'delivered', answer = 'thanks' WHERE error = '' RETURNING id"
        ):
            pass

    own_api.sql("UPDATE kr_hook_delivery SET error = 'answered 500', attempts = 1")
    thread = threading.Thread(target=answer)
    thread.start()
    works = flower("hooks", "test", "ops")
    thread.join()
    assert (works.exit_code, "thanks" in works.stdout) == (0, True), works.output
    listed = flower("hooks", "deliveries", "ops").stdout
    assert "delivered" in listed and "answered 500" in listed
    ((number,),) = own_api.sql("SELECT id FROM kr_hook_delivery WHERE state = 'delivered'")
    assert "waiting" in flower("hooks", "redeliver", number).stdout
    assert flower("hooks", "redeliver", "msg_x").exit_code == 1
    assert (
        json.loads(flower("hooks", "deliveries", "ops", "--state", "given_up", "--json").stdout)["deliveries"]
        == []
    )
