"""Sessions of browsers: a token once, a cookie from then on, and changes that only our pages can make."""

from collections.abc import Callable
from http.cookies import SimpleCookie

import httpx
import pytest

from api.serving import RunningApi, details
from flower_api.sessions import COOKIE, LASTS_SECONDS, Sessions, cookie_name
from flower_engine.runtime.api_tokens import read_tokens
from flower_engine.runtime.clock import ManualClock

TOKENS = "alice:s3cret-token,ci:other-token:read"


@pytest.fixture(scope="module")
def guarded_api(start_shared_api: Callable[..., RunningApi]) -> RunningApi:
    return start_shared_api(api_tokens=TOKENS)


@pytest.fixture
def guarded(guarded_api: RunningApi) -> RunningApi:
    """One with a client that has no session yet."""
    guarded_api.client.cookies.clear()
    return guarded_api


def log_in(api: RunningApi, token: str = "s3cret-token") -> dict[str, str]:
    """Begins a session; what changes bring along."""
    reply = api.client.post("/login", json={"token": token})
    assert reply.status_code == 200, reply.text
    return {"Flower-CSRF": reply.json()["csrf"]}


def name_at(api: RunningApi) -> str:
    """The name of the cookie of this API."""
    return cookie_name(api.client.base_url.netloc.decode())


def problem_of(reply: httpx.Response) -> str:
    return reply.json()["type"].removeprefix("urn:flower:problem:")


def test_a_token_given_once_is_a_session_that_no_script_can_read(guarded: RunningApi) -> None:
    assert guarded.client.get("/session").json()["isKnown"] is False
    reply = guarded.client.post("/login", json={"token": "s3cret-token"})
    cookie = SimpleCookie(reply.headers["set-cookie"])[name_at(guarded)]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert "s3cret-token" not in reply.headers["set-cookie"] + reply.text
    assert guarded.client.get("/flows").status_code == 200
    told = guarded.client.get("/session")
    assert told.headers["cache-control"] == "no-store"
    assert told.json() == reply.json() | {"name": "alice", "mayOperate": True, "isKnown": True}


def test_a_form_begins_a_session_too(guarded: RunningApi) -> None:
    reply = guarded.client.post("/login", data={"token": "other-token"})
    assert (reply.status_code, reply.headers["location"]) == (303, "./")
    assert guarded.client.get("/session").json()["name"] == "ci"


def test_a_change_in_a_session_brings_along_what_only_our_pages_know(guarded: RunningApi) -> None:
    csrf = log_in(guarded)
    body = {"tasks": [{"taskSeq": 1, "program": "A"}]}
    others: tuple[dict[str, str], ...] = ({}, {"Flower-CSRF": "wrong"}, {"Flower-CSRF": ""})
    for headers in others:
        refused = guarded.client.put("/workflows/w", json=body, headers=headers)
        assert (refused.status_code, problem_of(refused)) == (403, "csrf")
        assert guarded.client.post("/register/w", headers=headers).status_code == 403
    assert guarded.client.put("/workflows/w", json=body, headers=csrf).status_code == 201
    assert guarded.client.post("/register/w", headers=csrf).status_code == 200
    again = log_in(guarded)
    assert again != csrf, "each session has its own"
    assert guarded.client.delete("/workflows/w", headers=csrf).status_code == 403
    assert guarded.client.delete("/workflows/w", headers=again).status_code == 204


def test_a_session_of_a_reading_token_may_only_read(guarded: RunningApi) -> None:
    csrf = log_in(guarded, "other-token")
    assert guarded.client.get("/flows").status_code == 200
    refused = guarded.client.post("/register/x", headers=csrf)
    assert (refused.status_code, problem_of(refused)) == (403, "forbidden")


def test_a_bearer_header_counts_more_than_a_session(guarded: RunningApi) -> None:
    log_in(guarded, "other-token")
    bearer = {"Authorization": "Bearer s3cret-token"}
    assert guarded.client.post("/register/none", headers=bearer).status_code == 404
    wrong = {"Authorization": "Bearer wrong"}
    assert guarded.client.get("/flows", headers=wrong).status_code == 401


def test_whoever_has_no_token_gets_no_session(guarded: RunningApi) -> None:
    for body in ({"token": "wrong"}, {"token": ""}, {"token": "s3cret-tokén"}):
        reply = guarded.client.post("/login", json=body)
        assert (reply.status_code, "set-cookie" in reply.headers) == (401, False)
    for content in (b"", b"{", b"[1]", b'{"token": 1}', b"[" * 5_000, b'"\xff"'):
        assert guarded.client.post("/login", content=content).status_code == 422
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for content in (b"", b"a=1", b"token", b"\xff=1", b"a&b=1"):
        assert guarded.client.post("/login", content=content, headers=form).status_code == 422
    assert details(guarded.client.post("/login", content=b"x" * 9_000))[0].startswith("a login is no longer")


def test_a_forged_or_torn_cookie_is_none(guarded: RunningApi) -> None:
    log_in(guarded)
    name = name_at(guarded)
    value = guarded.client.cookies[name]
    guarded.client.cookies.clear()
    parts = value.split(".")
    forged = [
        value[:-1],
        value + "0",
        ".".join([parts[0], str(int(parts[1]) + 1), *parts[2:]]),
        ".".join(["0" * 16, *parts[1:]]),
        "",
        "....",
        "é",
        parts[0],
        ".".join([parts[0], "9" * 5_000, *parts[2:]]),
    ]
    for one in forged:
        reply = guarded.client.get("/flows", headers={b"Cookie": f"{name}={one}".encode()})
        assert reply.status_code == 401, one
    both = f"{name}=of.another.path; x=1; {name}={value}"
    assert guarded.client.get("/flows", headers={"Cookie": both}).status_code == 200


def test_engines_of_one_host_have_a_cookie_each(guarded: RunningApi) -> None:
    assert cookie_name("127.0.0.1:8000") == cookie_name("[::1]:8000") == f"{COOKIE}_8000"
    assert cookie_name("flower.example") == cookie_name("[::1]") == cookie_name("a:b") == COOKIE
    log_in(guarded)
    value = guarded.client.cookies[name_at(guarded)]
    guarded.client.cookies.clear()
    others = f"{COOKIE}=x; {COOKIE}_1={value}"
    assert guarded.client.get("/flows", headers={"Cookie": others}).status_code == 401


def test_logging_out_takes_the_cookie_away(guarded: RunningApi) -> None:
    log_in(guarded)
    assert guarded.client.post("/logout").status_code == 204
    assert guarded.client.get("/flows").status_code == 401


def test_a_session_is_over_with_its_time_or_its_token() -> None:
    clock = ManualClock(1_790_000_000_000)
    tokens = read_tokens(TOKENS)
    sessions = Sessions(tokens, clock)
    cookie = f"{COOKIE}={sessions.begin(tokens[0])}"
    found = sessions.find(cookie)
    assert found is not None and found.token == tokens[0]
    another_process = Sessions(tokens, clock)
    assert another_process.find(cookie) == found
    assert Sessions(read_tokens("alice:another,ci:other-token:read"), clock).find(cookie) is None
    assert Sessions(tokens[1:], clock).find(cookie) is None
    clock.advance(LASTS_SECONDS * 1_000 - 1)
    assert sessions.find(cookie) is not None
    clock.advance(1)
    assert sessions.find(cookie) is None


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=str,
)
def test_no_page_of_others_logs_anybody_in_or_out(guarded: RunningApi, headers: dict[str, str]) -> None:
    for call in ("/login", "/logout"):
        reply = guarded.client.post(call, data={"token": "s3cret-token"}, headers=headers)
        assert (reply.status_code, problem_of(reply)) == (403, "foreign-site")
        assert "set-cookie" not in reply.headers
    own = {"Origin": guarded.url, "Sec-Fetch-Site": "same-origin"}
    assert guarded.client.post("/login", json={"token": "s3cret-token"}, headers=own).status_code == 200
    behind_a_proxy = {"Host": "flower.example", "Origin": "https://flower.example"}
    reply = guarded.client.post("/login", json={"token": "s3cret-token"}, headers=behind_a_proxy)
    assert "; Secure" in reply.headers["set-cookie"]


def test_without_tokens_everybody_on_this_machine_may_all(api: RunningApi) -> None:
    told = api.client.get("/session").json()
    assert (told["needsToken"], told["isKnown"], told["mayOperate"]) == (False, True, True)
    reply = api.client.post("/login", json={"token": "x"})
    assert (reply.status_code, "set-cookie" in reply.headers) == (200, False)
