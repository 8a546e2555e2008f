"""Nothing that a client can send makes the API fail: it is answered below 500, with a problem."""

import json
import socket
from typing import Any

import pytest

from api.serving import RunningApi, details
from flower_api.request_bodies import MAX_BODY_BYTES

_JSON = {"Content-Type": "application/json"}
_TASK = '{"tasks":[{"taskSeq":1,"program":"A"%s}]}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"NaN", 400),
        (b'{"tasks": NaN}', 400),
        (b'{"tasks": Infinity}', 400),
        (b'{"tasks": [1e999]}', 400),
        (b"\xff\xfe\x00", 400),
        (b'{"tasks": "\xed\xa0\x80"}', 400),
        (b'{"tasks": "\\ud800"}', 400),
        (b'{"tasks": [' + b"9" * 5_000 + b"]}", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400),
        (b'{"tasks": null}', 422),
        (b'{"tasks": {}}', 422),
        (b'{"tasks": [null]}', 422),
        (b'{"tasks": [[]]}', 422),
        (b'{"tasks": [{}]}', 422),
        ((_TASK % ',"parameters":null').encode(), 422),
        ((_TASK % ',"parameters":[]').encode(), 422),
        ((_TASK % ',"parameters":{"K":"\\u0000"}').encode(), 422),
        ((_TASK % ',"parameters":{"\\u0000":1}').encode(), 422),
        ((_TASK % ',"dependsOn":[1.5]').encode(), 422),
        ((_TASK % ',"dependsOn":["1"]').encode(), 422),
        ((_TASK % ',"dependsOn":[99999999999999999999999]').encode(), 422),
        ((_TASK % ',"taskPriority":true').encode(), 422),
        ((_TASK % ',"taskPriority":1e10').encode(), 422),
        ((_TASK % ',"taskPriority":-99999999999999999999999999').encode(), 422),
        ((_TASK % ',"queue":null').encode(), 422),
        ((_TASK % ',"program":"\\u0000"').encode(), 422),
        ((_TASK % ',"retries":5').encode(), 422),
        (b'{"tasks":[{"taskSeq":-99999999999999999999,"program":"A"}]}', 422),
        (b'{"tasks":[{"taskSeq":1.0,"program":"A"}]}', 422),
        ((_TASK % ',"timeoutSeconds":1e308').encode(), 422),
    ],
)
def test_a_bad_definition_is_refused(api: RunningApi, body: bytes, status: int) -> None:
    reply = api.client.put("/workflows/bad", content=body, headers=_JSON)
    assert reply.status_code == status, reply.text[:300]
    details(reply)


_BAD_REGISTRATIONS: list[Any] = [
    {"taskId": "x"},
    [1],
    [{"taskId": 1}],
    [{"taskId": None}],
    [{"taskId": ""}],
    [{"taskId": "x" * 257}],
    [{"taskId": "a\0b"}],
    [{"task_id": "x"}],
    [{"taskId": "x", "parameter": {}}],
    [{"taskId": "x", "parameters": []}],
    [{"taskId": "x", "delaySeconds": -1}],
    [{"taskId": "x", "delaySeconds": 1e12}],
    [{"taskId": "x", "delaySeconds": 1, "startAt": "2026-01-01"}],
    [{"taskId": "x", "startAt": "soon"}],
    [{"taskId": "x", "priority": 20}],
    [{"taskId": "x", "key": ""}],
    [{"taskId": "x", "key": "a\nb"}],
    [{"taskId": "x", "key": "k" * 256}],
]


@pytest.mark.parametrize("body", _BAD_REGISTRATIONS)
def test_a_bad_bulk_registration_is_refused(api: RunningApi, body: Any) -> None:
    reply = api.client.post("/register", json=body)
    assert reply.status_code == 422
    details(reply)


@pytest.mark.parametrize(
    "path",
    [
        "/flows?limit=0",
        "/flows?limit=1001",
        "/flows?limit=99999999999999999999999",
        "/flows?limit=x",
        "/flows?status=Gone",
        "/flows?status=4",
        "/flows?status=%00",
        "/flows?since=yesterday",
        "/flows?since=",
        "/flows?since=2020-13-01",
        "/flows?since=2020-02-30T25:00",
        "/flows?since=1700000000",
        "/flows?since=%00",
        "/flows?taskId=%00",
        "/flows?taskId=",
        "/flows?cursor=x",
        "/flows?cursor=%FF%FE",
        "/flows?cursor=AAAA",
        "/flows?cursor=W10",
        "/flows?cursor=WyIyMDIwLTAxLTAxVDAwOjAwOjAwIiwieCJd",
        "/flows?cursor=WyIyMDIwLTAxLTAxVDAwOjAwOjAwWiIsIlx1MDAwMCJd",
        "/workflows?limit=-1",
        "/workflows?cursor=%00",
        "/workflows/%00",
        f"/workflows/{'x' * 257}",
    ],
)
def test_a_bad_query_is_refused_and_its_parameter_named(api: RunningApi, path: str) -> None:
    reply = api.client.get(path)
    assert reply.status_code == 422, reply.text
    details(reply)
    assert all("parameter" in problem for problem in reply.json()["problems"])


@pytest.mark.parametrize("after", ["", "x", "1", "-1-0", "1-1-1", "9" * 16 + "-0", "%00"])
def test_a_bad_position_is_refused(api: RunningApi, after: str) -> None:
    api.define("positions", {})
    flow_id = api.register("positions")
    assert api.client.get(f"/flows/{flow_id}/events?after={after}").status_code == 422
    assert api.client.get(f"/flows/{flow_id}/events?after={'9' * 15}-{'9' * 15}").json()["events"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/nothing/here", 404),
        ("GET", "/%F0%9F%92%A9", 404),
        ("GET", "/%FF%FE", 404),
        ("GET", "/register/example", 405),
        ("DELETE", "/register", 405),
        ("POST", "/flows", 405),
        ("PATCH", "/workflows/x", 405),
        ("POST", "/healthz", 405),
    ],
)
def test_what_is_not_there_is_told_as_a_problem(api: RunningApi, method: str, path: str, status: int) -> None:
    reply = api.client.request(method, path)
    assert reply.status_code == status
    details(reply)


def test_a_method_that_is_not_allowed_names_all_that_are(api: RunningApi) -> None:
    assert api.client.patch("/workflows/x").headers["allow"] == "DELETE, GET, HEAD, PUT"
    assert api.client.get("/register/x").headers["allow"] == "POST"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_that_is_not_announced_as_json_is_refused(api: RunningApi, kind: str) -> None:
    reply = api.client.post("/register", content=b'[{"taskId":"x"}]', headers={"Content-Type": kind})
    assert reply.status_code == 415
    assert "application/json" in details(reply)[0]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
)
def test_json_may_be_announced_in_other_words(api: RunningApi, kind: str) -> None:
    assert api.client.post("/register", content=b"[]", headers={"Content-Type": kind}).status_code == 200


def test_a_body_that_is_too_large_is_refused_announced_or_not(api: RunningApi) -> None:
    body = json.dumps([{"taskId": "x" * 256}] * 40_000).encode()
    assert len(body) > MAX_BODY_BYTES
    announced = api.client.post("/register", content=body, headers=_JSON)
    chunked = api.client.post(
        "/register", content=(body[at : at + 65_536] for at in range(0, len(body), 65_536)), headers=_JSON
    )
    for reply in (announced, chunked):
        assert reply.status_code == 413
        assert str(MAX_BODY_BYTES) in details(reply)[0]
    assert api.client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST /register/%ff%fe HTTP/1.1",
        b"POST /register/\xff\xfe HTTP/1.1",
        b"POST /register/%ed%a0%80 HTTP/1.1",
        b"POST /register/%zz HTTP/1.1",
        b"POST /register/a%2 HTTP/1.1",
        b"POST //register//x HTTP/1.1",
        b"GET /flows?taskId=%ed%a0%80 HTTP/1.1",
        b"GET /flows?taskId=\xff HTTP/1.1",
        b"GET /flows?=&&&===;;; HTTP/1.1",
        b"GET /flows/%ff HTTP/1.1",
        b"GET * HTTP/1.1",
        b"BREW /register/x HTTP/1.1",
        b"POST /register/" + b"x" * 60_000 + b" HTTP/1.1",
    ],
)
def test_strange_bytes_in_a_request_line_are_answered_below_500(api: RunningApi, request_line: bytes) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(
            request_line + b"\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        reply = connection.recv(65_536)
    assert 400 <= int(reply.split()[1]) < 500 or reply.startswith(b"HTTP/1.1 200"), reply
