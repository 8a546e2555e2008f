"""Flows are listed by the schedule that fired them, over HTTP and on the command line."""

from api.serving import RunningApi
from cli.flower_command import Flower

SET = {"taskId": "etl", "cron": "0 3 * * *"}


def fired(api: RunningApi, name: str) -> str:
    """A flow that the schedule of this name has fired, as the projector writes it."""
    made = api.client.put(f"/schedules/{name}", json=SET).raise_for_status().json()
    flow = api.register("etl")
    api.sql(
        "INSERT INTO kr_schedule (uid, partition, name, version, cursor) VALUES (%s, 0, %s, %s, now())"
        " ON CONFLICT (uid) DO NOTHING",
        *(made["uid"], name, made["version"]),
    )
    return f"{flow} {made['uid']}"


async def test_flows_of_a_schedule_are_listed_also_where_it_was_made_anew(
    own_api: RunningApi, flower: Flower
) -> None:
    own_api.define("etl", {})
    made = [fired(own_api, "nightly")]
    own_api.client.delete("/schedules/nightly").raise_for_status()
    made += [fired(own_api, "nightly"), fired(own_api, "weekly")]
    await own_api.project()
    flows = [own_api.register("etl")]
    await own_api.project()
    for one in made:
        flow, uid = one.split()
        flows.append(flow)
        own_api.sql("UPDATE kr_flow_stat SET schedule = %s WHERE task_flow_id = %s", uid, flow)

    def listed(name: str) -> list[str]:
        reply = own_api.client.get("/flows", params={"schedule": name, "limit": 1})
        found = reply.raise_for_status().json()["flows"]
        while (cursor := reply.json()["next"]) is not None:
            reply = own_api.client.get("/flows", params={"schedule": name, "cursor": cursor})
            found += reply.json()["flows"]
        return [one["taskFlowId"] for one in found]

    assert listed("weekly") == flows[3:]
    assert listed("nightly") == [flows[2], flows[1]]
    own_api.client.delete("/schedules/nightly").raise_for_status()
    assert listed("nightly") == [flows[2], flows[1]]
    shown = flower("flows", "--schedule", "weekly").stdout
    assert flows[3] in shown and flows[1] not in shown
    mistyped = own_api.client.get("/flows", params={"schedule": "weekli"}).json()
    assert mistyped["flows"] == [] and "nearest: weekly" in mistyped["warnings"][0]
