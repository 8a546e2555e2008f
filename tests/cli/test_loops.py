"""Commands and the client say of a task that loops its round, when the next begins and with what."""

import json
from datetime import datetime

from api.serving import RunningApi
from api.test_loops import looping
from cli.flower_command import Flower
from flower_engine.client import Client


async def test_the_command_and_the_client_say_the_round(flower: Flower, own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await looping(own_api, engine)
        await own_api.project()
    shown = " ".join(flower("show", flow, "--task", "poll").stdout.split())
    assert 'round 2 of at most 7, with {"page":[1],"cursor":80}' in shown
    assert 'again on w1 round 1 asked for, with {"cursor":40}' in shown
    assert "round 2 begins at" in shown
    assert "loops 2 rounds of at most 10,000" in " ".join(flower("show", flow).stdout.split())
    assert "round 2 begins at" in flower("why", flow, "poll").stdout
    assert json.loads(flower("why", flow, "--json").stdout)["1"]["reason"] == "round"
    with Client(own_api.url) as client:
        (task, _) = client.flow(flow).tasks()
    assert (task.round, task.given, task.max_rounds) == (2, {"cursor": 80, "page": [1]}, 7)
    assert isinstance(task.again_ts, datetime)
