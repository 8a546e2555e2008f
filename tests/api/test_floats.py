"""A float among the parameters of a task reaches the program as a float, whichever way the task takes."""

import json
from collections.abc import Mapping
from typing import Any

from api.serving import RunningApi
from flower_engine.programs.parameter_binding import Binder
from flower_engine.transitions.task_fields import decode_message
from flower_engine.transitions.worker_transitions import Claim

GIVEN = {
    **{"one": 1.0, "whole": 1, "great": 1e16, "greater": -1.5e300, "beyond": 10**16, "small": 1e-7},
    **{"text": '1e16 \\" 1e17', "deep": [{"1e20": [1e22, 10**22, 5e-324]}]},
}


def program(**given: Any) -> None:
    """Takes anything, as it comes."""


def is_as_given(claim: Claim, given: Mapping[str, Any] = GIVEN) -> bool:
    bound = Binder("A", program).bind(decode_message(claim.message).parameters)
    return json.dumps(bound, sort_keys=True) == json.dumps(given, sort_keys=True)


async def test_through_http_the_tables_a_rerun_and_a_fork(own_api: RunningApi) -> None:
    own_api.define("floats", {"parameters": GIVEN})
    flow = own_api.register("floats")
    client = own_api.client
    async with own_api.engine() as engine:
        (claim,) = await engine.claim()
        assert is_as_given(claim)
        await engine.finish(claim)
        await own_api.project()
        given = {"tasks": [1], "parameters": {"great": 1e17}}
        assert client.post(f"/flows/{flow}/rerun", json=given).status_code == 200
        (claim,) = await engine.claim()
        assert is_as_given(claim, GIVEN | {"great": 1e17})
        await engine.finish(claim)
        await own_api.project()
        assert client.post(f"/flows/{flow}/fork", json={"fromTasks": [1]}).status_code == 200
        (claim,) = await engine.claim()
        assert is_as_given(claim, GIVEN | {"great": 1e17})
        given = {"parameters": {"one": 2.0}, "taskParameters": {"1": {"great": 1e18}}}
        assert client.post("/register/floats", json=given).status_code == 200
        (claim,) = await engine.claim()
        assert is_as_given(claim, GIVEN | {"one": 2.0, "great": 1e18})
