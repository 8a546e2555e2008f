"""A flow whose registration is lost says what is not known of it, and shows nothing in its place."""

from api.serving import RunningApi
from flower_engine.transitions.snapshot_transitions import snapshot


async def test_what_a_lost_registration_said_is_told_as_not_known(own_api: RunningApi) -> None:
    body = {
        "tasks": [{"taskSeq": 1, "program": "A", "taskName": "a"}, {"taskSeq": 2, "program": "A"}],
        "parametersSchema": {"type": "object", "properties": {"day": {"type": "string"}}},
        "returns": {"$from": "a"},
    }
    own_api.client.put("/workflows/lost", json=body).raise_for_status()
    flows = [
        own_api.client.post("/register/lost", json={"parameters": {"day": "monday"}}).json()["taskFlowId"]
        for _ in range(2)
    ]
    async with own_api.engine() as engine:
        await snapshot(engine.client, engine.partition, flows, {})
        await own_api.project()
        # What a bridge leaves where Postgres went back behind the registration of the first.
        own_api.sql(
            "DELETE FROM kr_event WHERE task_flow_id = %s AND event->>'type' = 'flow.registered'", flows[0]
        )
        own_api.sql(
            "UPDATE kr_flow_stat SET parameters = NULL, definition = NULL WHERE task_flow_id = %s", flows[0]
        )
        lost, whole = map(own_api.flow, flows)
        assert (lost["parameters"], lost["workflowVersion"]) == (None, None)
        assert ["registration" in why and "lost" in why for why in lost["unreadable"]] == [True]
        assert (whole["parameters"], whole["unreadable"]) == ({"day": "monday"}, [])
        await engine.work_off()
        await own_api.project()
    lost, whole = map(own_api.flow, flows)
    assert lost["status"] == whole["status"] == "Finish"
    assert "not known" in lost["resultProblem"]
    assert whole["resultProblem"] is None
