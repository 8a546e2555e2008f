"""No web page of others drives the API: foreign hosts and foreign sites are refused, on every route."""

from collections.abc import Callable

import httpx
import pytest

from api.serving import RunningApi, details
from flower_engine.errors import SettingsError
from flower_engine.runtime.settings_loading import load_settings

CALLS = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/flows"),
    ("HEAD", "/flows"),
    ("GET", "/docs"),
    ("GET", "/docs/start.js"),
    ("GET", "/openapi.json"),
    ("GET", "/none"),
    ("POST", "/register/guarded"),  # past FastAPI's validation: see shortcut.py
    ("POST", "/register"),
    ("PUT", "/workflows/guarded"),
    ("DELETE", "/workflows/guarded"),
    ("OPTIONS", "/flows"),
]
FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.example:8000"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "localhost@evil.example"},
    {"Host": "evil.example/localhost"},
    {"Host": "0.0.0.0"},
    {"Host": "192.168.0.1"},
    {"Host": "localhost:port"},
    {"Host": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:1"},
    {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site"},
]
OWN = [
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.8.9.1:1",
    "localhost",
    "LocalHost:8000",
    "[::1]",
    "[::1]:8000",
]


def ask(api: RunningApi, call: tuple[str, str], headers: dict[str, str]) -> httpx.Response:
    return api.client.request(*call, headers=headers)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_foreign_hosts_and_sites_are_refused_without_tokens(
    api: RunningApi, call: tuple[str, str], headers: dict[str, str]
) -> None:
    reply = ask(api, call, headers)
    assert reply.status_code == 403
    if call[0] != "HEAD":
        assert "FLOWER_ALLOWED_HOSTS" in details(reply)[0]


def test_what_is_refused_does_nothing(own_api: RunningApi) -> None:
    own_api.define("guarded", {})
    ask(own_api, ("POST", "/register/guarded"), {"Origin": "https://evil.example"})
    ask(own_api, ("DELETE", "/workflows/guarded"), {"Host": "evil.example"})
    assert own_api.client.get("/workflows/guarded").status_code == 200
    assert own_api.sql("SELECT count(*) FROM kr_flow_stat") == [(0,)]


@pytest.mark.parametrize("host", OWN)
def test_this_machine_may_ask_by_any_of_its_names(api: RunningApi, host: str) -> None:
    api.define("guarded", {})
    for more in ({}, {"Origin": f"http://{host.lower()}"}, {"Sec-Fetch-Site": "same-origin"}):
        assert ask(api, ("POST", "/register/guarded"), {"Host": host, **more}).status_code == 200
        assert ask(api, ("GET", "/flows"), {"Host": host, **more}).status_code == 200


def test_a_setting_names_further_hosts(start_api: Callable[..., RunningApi]) -> None:
    api = start_api(allowed_hosts="flower.example.org, 10.0.0.7")
    for host in ("flower.example.org", "Flower.Example.Org:443", "10.0.0.7:80", "localhost"):
        assert ask(api, ("GET", "/flows"), {"Host": host}).status_code == 200
    own = {"Origin": "https://flower.example.org"}  # a proxy has put another name into Host
    assert ask(api, ("GET", "/flows"), own).status_code == 200
    for headers in ({"Host": "example.org"}, {"Origin": "https://x.flower.example.org"}):
        assert ask(api, ("GET", "/flows"), headers).status_code == 403


def test_with_tokens_any_host_may_be_asked_unless_the_setting_names_some(
    start_api: Callable[..., RunningApi],
) -> None:
    token = {"Authorization": "Bearer s3cret-token"}
    evil = {"Host": "evil.example", "Origin": "https://evil.example", **token}
    free = start_api(api_tokens="alice:s3cret-token")
    assert ask(free, ("GET", "/flows"), evil).status_code == 200
    bound = start_api(api_tokens="alice:s3cret-token", allowed_hosts="flower.example.org")
    assert ask(bound, ("GET", "/flows"), evil).status_code == 403
    assert ask(bound, ("GET", "/flows"), {**evil, "Host": "flower.example.org"}).status_code == 200
    assert ask(bound, ("GET", "/flows"), {**evil, "Host": "localhost"}).status_code == 200
    assert ask(bound, ("GET", "/healthz"), {"Host": "10.1.2.3:8000"}).status_code == 200  # as probes ask


@pytest.mark.parametrize("name", ["https://flower.example.org", "flower.example.org:80", "a/b", "a b", "*"])
def test_what_is_no_name_of_a_host_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(SettingsError, match="FLOWER_ALLOWED_HOSTS"):
        load_settings(allowed_hosts=name)
