"""Whoever waits for a flow whose maps have failed items is told: nothing more happens by itself."""

from typing import Any

import msgspec
import pytest

from api.serving import RunningApi
from cli.flower_command import Flower
from flower_engine.client import Client, Flow, FlowFailedError
from flower_engine.runtime.deciding import Decider

GIVEN = {"over": ["north", "south"], "program": "A", "as": "shop", "key": ""}


@pytest.mark.parametrize("bounds", [{}, {"limit": 1, "tolerate": 0}], ids=["held items", "held map"])
async def test_a_flow_whose_items_failed_is_over_for_command_client_and_api(
    flower: Flower, own_api: RunningApi, bounds: dict[str, Any]
) -> None:
    mapping = {"taskName": "all", "program": "@map", "parameters": {**GIVEN, **bounds}}
    own_api.define("failing", mapping, {"taskName": "report", "program": "A"})
    own_api.client.post("/register/failing", json={"key": "k"}).raise_for_status()
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        await Decider(engine.client, engine.partition, "w1").run_once()
        for claim in await engine.claim(wanted=2):
            await engine.suspend(claim)
        await Decider(engine.client, engine.partition, "w1").run_once()
        await own_api.project()
    waited = flower("register", "failing", "--wait", "--timeout", "30", "--key", "k")
    assert (waited.exit_code, "all (@map)" in waited.stdout) == (1, True)
    told = flower("errors", "--json").stdout
    assert '"itemOf":1,"itemIndex":0,"itemKey":"north"' in told.replace(" ", "").replace("\n", "")
    assert "A[north]" in flower("errors").stdout
    with Client(own_api.url) as client:
        (flow,) = client.flows("failing")
        seen = own_api.client.get(f"/flows/{flow.id}?wait=30")
        assert msgspec.json.decode(seen.content, type=Flow).is_over
        with pytest.raises(FlowFailedError):
            client.flow(flow.id).result(timeout=30)
