"""Tokens: who may read, who may operate, and where the API listens without any."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from api.serving import RunningApi, details
from flower_api.service import serve
from flower_engine.errors import SettingsError
from flower_engine.runtime.settings_loading import load_settings

TOKENS = "alice:s3cret-token,ci:other-token:read"


@pytest.fixture(scope="module")
def guarded_api(start_shared_api: Callable[..., RunningApi]) -> RunningApi:
    return start_shared_api(api_tokens=TOKENS, host="127.0.0.1")


@pytest.fixture
def guarded(guarded_api: RunningApi) -> RunningApi:
    """One that knows nobody yet."""
    guarded_api.client.headers.pop("Authorization", None)
    return guarded_api


def ask(api: RunningApi, method: str, path: str, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": token}
    return api.client.request(method, path, headers=headers)


@pytest.mark.parametrize(
    "token", [None, "Bearer wrong", "Basic s3cret-token", "s3cret-token", "Bearer s3cret-token2"]
)
def test_without_a_known_token_nothing_is_answered_but_the_probes(
    guarded: RunningApi, token: str | None
) -> None:
    for method, path in (
        ("GET", "/flows"),
        ("POST", "/register/x"),
        ("GET", "/openapi.json"),
        ("GET", "/none"),
    ):
        reply = ask(guarded, method, path, token)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")
        assert "FLOWER_API_TOKENS" in details(reply)[0]
    assert ask(guarded, "GET", "/healthz", token).status_code == 200
    assert ask(guarded, "GET", "/readyz", token).status_code == 200


def test_a_reading_token_may_read_and_not_operate(guarded: RunningApi) -> None:
    assert ask(guarded, "GET", "/flows", "Bearer other-token").status_code == 200
    for method, path in (("POST", "/register/x"), ("PUT", "/workflows/x"), ("DELETE", "/workflows/x")):
        reply = ask(guarded, method, path, "bearer other-token")
        assert reply.status_code == 403
        assert "'ci'" in details(reply)[0]


def test_events_say_whose_token_asked(guarded: RunningApi) -> None:
    guarded.client.headers["Authorization"] = "Bearer s3cret-token"
    guarded.define("owned", {})
    flow = guarded.register("owned")
    assert guarded.client.post(f"/flows/{flow}/cancel", json={}).status_code == 200
    view = guarded.flow(flow)
    assert (view["registeredBy"], view["cancelledBy"]) == ("alice", "alice")
    assert guarded.client.get("/openapi.json").json()["security"] == [{"token": []}]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org"])
async def test_without_tokens_the_api_does_not_listen_for_others(
    redis_url: str, database_url: str, host: str
) -> None:
    settings = load_settings(redis_url=redis_url, database_url=database_url, host=host, port=0)
    with pytest.raises(SettingsError, match="FLOWER_API_TOKENS"):
        await serve(settings, asyncio.Event())


def test_with_tokens_it_may_listen_for_others(start_api: Callable[..., RunningApi]) -> None:
    assert start_api(api_tokens=TOKENS, host="0.0.0.0").client.get("/flows").status_code == 401
