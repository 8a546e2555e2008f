"""What is mistyped on the command line is said on standard error, and refused where it cannot be right."""

import json

from api.serving import RunningApi
from api.test_names import serve
from cli.flower_command import Flower


async def test_typos_do_not_pass_in_silence(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("nightly", {"program": "Load"})
    async with own_api.engine() as engine:
        await serve(own_api, engine, ["SlowAsync", "Load"], ["defualt"])
    no_workflow = "warning: no workflow 'nihgtly' is known; nearest: nightly"
    for words, said in (
        (
            ("limit", "program", "SlowAsnyc", "--max-running", "3"),
            "no program 'SlowAsnyc' is known; nearest: Slow",
        ),
        (("hold", "workflow", "nihgtly"), no_workflow),
        (
            ("strike", "Load", "custmer=1"),
            "no parameter 'custmer' of program 'Load' is known; nearest: customer",
        ),
        (("flows", "--workflow", "nihgtly"), no_workflow),
        (("flows", "--workflow", "nihgtly", "--json"), no_workflow),
        (("errors", "--workflow", "nihgtly"), no_workflow),
        (("errors", "--program", "Laod", "--json"), "no program 'Laod' is known; nearest: Load"),
        (("bulk", "cancel", "--workflow", "nihgtly", "--dry-run"), no_workflow),
        (("workers",), "no task definition names queue 'defualt', which worker w1 serves; nearest: default"),
    ):
        done = flower(*words)
        assert done.exit_code == 0, done.output
        assert said in " ".join(done.stderr.split()), words
        if "--json" in words:
            json.loads(done.stdout)
    assert "nothing has failed that fits what was asked for" in flower("errors", "--match", "zzz").stdout
    refused = flower("register", "nihgtly")
    assert refused.exit_code == 1
    assert "no task definition has the task_id 'nihgtly'; nearest: nightly" in refused.stderr


def test_what_is_not_held_cannot_be_released(flower: Flower, own_api: RunningApi) -> None:
    flower("hold", "workflow", "nightly")
    flower("limit", "workflow", "daily", "--max-running", "3")
    for words, said in (
        (("workflow", "nihgtly"), "workflow nihgtly is not paused; nearest: nightly"),
        (("workflow", "daily"), "workflow daily is not paused; paused is nightly"),
        (("queue", "q"), "queue q is not paused"),
        (("global",), "everything is not paused"),
    ):
        refused = flower("release", *words)
        assert refused.exit_code == 1
        assert said in refused.stderr
    assert [row["name"] for row in own_api.client.get("/limits").json()["limits"]] == ["daily", "nightly"]
    assert flower("release", "workflow", "nightly").exit_code == 0


def test_waiting_says_why_nothing_runs(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("slow", {"dependsOn": []}, {"dependsOn": []}, {})
    waited = flower("register", "slow", "--wait", "--timeout", "1")
    assert waited.exit_code == 4
    assert waited.stderr.count("task 1 A: no live worker serves queue default") == 1
    assert "task 2 A: no live worker serves queue default" in waited.stderr
    assert "task 3" not in waited.stderr
