"""Numbers that are too long for int(), or for a store, are refused wherever a client sends them."""

import base64
from typing import Any

import pytest

from api.serving import RunningApi, details

LONG = "9" * 4_301  # one digit more than int() takes
_HUGE = int("9" * 4_299)
_TIME = '"2026-01-01T00:00:00Z"'


def _refused(reply: Any) -> None:
    assert reply.status_code in (400, 404, 409, 422), reply.text[:300]
    assert all(len(text) < 1_000 for text in details(reply))


@pytest.fixture(scope="module")
def flow(api: RunningApi) -> str:
    api.define("numbers", {"parameters": {"A": 1}}, {"parameters": {"B": 1}})
    return api.register("numbers")


@pytest.mark.parametrize("seq", [LONG, "-" + LONG, "0" * 5_000 + "1", "٣", "²", "1 ", "+1", "1_0", ""])
def test_a_task_is_named_by_its_number_alone(api: RunningApi, flow: str, seq: str) -> None:
    own = {"taskParameters": {seq: {"A": 1}}}
    _refused(api.client.post(f"/flows/{flow}/rerun", json={"tasks": [1], **own}))
    _refused(api.client.post(f"/flows/{flow}/fork", json={"fromTasks": [1], **own}))
    _refused(api.client.post("/register/numbers", json=own))
    (entry,) = api.client.post("/register", json=[{"taskId": "numbers", **own}]).json()
    assert entry["code"] == 422 and len(entry["description"]) < 1_000


@pytest.mark.parametrize("number", [_HUGE, -_HUGE, 2**63, -(2**63) - 1, 2**64])
@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("POST /flows/{flow}/rerun", '{"tasks": [%s]}'),
        ("POST /flows/{flow}/rerun", '{"tasks": [1], "version": %s}'),
        ("POST /flows/{flow}/rerun", '{"tasks": [1], "parameters": {"A": %s}}'),
        ("POST /flows/{flow}/fork", '{"fromTasks": [1], "parameters": {"A": [%s]}}'),
        ("POST /flows/{flow}/priority", '{"priority": %s}'),
        ("POST /register/numbers", '{"delaySeconds": %s}'),
        ("POST /register/numbers", '{"priority": %s}'),
        ("POST /register", '[{"taskId": "numbers", "delaySeconds": %s}]'),
        ("PUT /workflows/long", '{"tasks": [{"taskSeq": %s, "program": "A"}]}'),
        ("PUT /workflows/long", '{"tasks": [{"taskSeq": 1, "program": "A", "timeoutSeconds": %s}]}'),
        ("PUT /workflows/long", '{"tasks": [{"taskSeq": 1, "program": "A", "dependsOn": [%s]}]}'),
        ("PUT /workflows/long", '{"tasks": [{"taskSeq": 1, "program": "A"}], "timeoutSeconds": %s}'),
        (
            "PUT /workflows/long",
            '{"tasks": [{"taskSeq": 1, "program": "A", "retry": {"maxAttempts": %s}}]}',
        ),
        (
            "PUT /workflows/long",
            '{"tasks": [{"taskSeq": 1, "program": "A", "retry": {"maxAttempts": 2, "backoff": %s}}]}',
        ),
        (
            "PUT /workflows/long",
            '{"tasks": [{"taskSeq": 1, "program": "A", "retry": {"maxAttempts": 2, "jitter": %s}}]}',
        ),
        *(
            (
                "PUT /workflows/long",
                f'{{"tasks": [{{"taskSeq": 1, "program": "{program}", "parameters": {parameters}}}]}}',
            )
            for program, parameters in (
                ("@sleep", '{"seconds": %s}'),
                ("@event", '{"name": "paid", "timeout_seconds": %s}'),
                ("@approval", '{"of": %s}'),
                ("@approval", '{"remind_seconds": %s}'),
                ("@map", '{"over": [1], "as": "n", "program": "A", "limit": %s}'),
                ("@map", '{"over": [1], "as": "n", "program": "A", "tolerate": %s}'),
            )
        ),
        ("PUT /limits/queue/long", '{"maxRunning": %s}'),
        ("PUT /limits/queue/long", '{"rate": 1, "ratePeriodSeconds": %s}'),
        ("PUT /limits/queue/long", '{"weight": %s}'),
    ],
)
def test_a_number_that_no_store_holds_is_refused(
    api: RunningApi, flow: str, call: str, body: str, number: int
) -> None:
    method, path = call.split(" ")
    content = (body % number).encode()
    reply = api.client.request(
        method, path.format(flow=flow), content=content, headers={"Content-Type": "application/json"}
    )
    is_kept = "parameters" in body and reply.status_code == 200  # JSON holds any integer
    assert is_kept or reply.status_code in (400, 409, 422), reply.text[:300]
    assert len(reply.text) < 10_000
    assert api.client.get(f"/flows/{flow}").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        f"/flows?limit={LONG}",
        f"/flows?status={LONG}",
        f"/flows/{{flow}}/tasks/{LONG}",
        f"/flows/{{flow}}/tasks/-{LONG}",
        f"/flows/{{flow}}/events?after={LONG}-0",
        f"/flows/{{flow}}/events?limit={LONG}",
        f"/flows/{{flow}}?at={LONG}-1",
        f"/flows/{{flow}}?at=1-{LONG}",
        f"/flows?since={LONG}-01-01",
    ],
)
def test_a_long_number_in_a_path_or_query_is_refused(api: RunningApi, flow: str, path: str) -> None:
    _refused(api.client.get(path.format(flow=flow)))


@pytest.mark.parametrize(
    "place",
    [
        f'[{_TIME},"x",{LONG}]',
        f'[{_TIME},"x",1,{LONG}]',
        f'[{_TIME},"x",1,{"[" * 20_000}{"]" * 20_000}]',
        f'[{_TIME},"x",1,{"[" * 20_000}',
        f'[{LONG},"x",1]',
    ],
)
def test_a_cursor_of_strange_numbers_is_refused(api: RunningApi, place: str) -> None:
    cursor = base64.urlsafe_b64encode(place.encode()).decode()
    for path in ("/flows", "/tasks"):
        reply = api.client.get(path, params={"cursor": cursor})
        assert reply.status_code in (200, 414, 422), reply.text[:300]
