"""``flower audit``: who did what, as people read it."""

import json

from api.serving import RunningApi
from cli.flower_command import Flower


async def test_what_people_did_is_listed(flower: Flower, own_api: RunningApi) -> None:
    assert "nobody did anything" in flower("audit").stdout
    own_api.define("etl", {})
    flow = own_api.register("etl")
    assert flower("cancel", flow, "--reason", "no need").exit_code == 0
    assert flower("limit", "queue", "slow", "--max-running", "3").exit_code == 0
    assert flower("limit", "queue", "slow", "--max-running", "7").exit_code == 0
    await own_api.project()
    said = flower("audit").stdout
    for word in (
        "flow.cancelled",
        "no need",
        "queue slow",
        "max_running 3 -> 7",
        "workflow.added",
        "api",
        "cli",
    ):
        assert word in said
    assert (
        json.loads(flower("audit", "--json", "--flow", flow, "--what", "flow.cancelled").stdout)["next"]
        is None
    )
    (one,) = json.loads(flower("audit", "--json", "--by", "cli", "--workflow", "etl").stdout)["acts"]
    assert one["act"] == "flow.cancelled"
    assert "flow.registered" not in flower("audit", "--what", "limit").stdout
