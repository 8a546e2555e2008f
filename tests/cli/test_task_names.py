"""Commands that take a task take its name."""

import json

from api.serving import RunningApi
from cli.flower_command import Flower


def test_a_task_is_named_wherever_a_task_is_taken(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("named", {"taskName": "load"}, {"taskName": "store", "dependsOn": ["load"]})
    shown = flower("workflows", "named")
    assert "load" in shown.stdout and "store" in shown.stdout
    flow = flower("register", "named", "--task-param", "store:PATH=/x").stdout.strip()
    assert "1 load (A)" in flower("show", flow).stdout
    assert '{"PATH":"/x"}' in flower("show", flow, "--task", "store").stdout
    assert "task 2 store (A): " in flower("why", flow, "store").stdout
    assert "task 1 is ignored" in flower("ignore", flow, "load").stdout
    assert "task 1 waits again" in flower("unignore", flow, "load").stdout
    assert flower("ignore", flow, "lode").exit_code == 1
    assert flower("ignore", flow, "load", "2").exit_code == 0
    assert "task 2 will run again" in flower("rerun", flow, "--task", "store").stdout
    forked = flower("fork", flow, "--from", "store", "--json")
    assert json.loads(forked.stdout)["forkedFrom"] == flow
