"""/docs works offline: what it loads comes from the API itself, under a strict policy; HEAD answers."""

import re

import pytest

from api.serving import RunningApi


def test_the_page_and_what_it_loads_come_from_here_under_a_strict_policy(api: RunningApi) -> None:
    page = api.client.get("/docs")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 5
    for address in loaded:
        reply = api.client.get(f"/{address}")
        assert reply.status_code == 200 and reply.content, address
    assert not re.search(r"<script>|<style|style=|//", page.text)  # nothing that the policy would stop


def test_the_scripts_show_this_api(api: RunningApi) -> None:
    assert 'url: "openapi.json"' in api.client.get("/docs/start.js").text
    assert "SwaggerUIBundle" in api.client.get("/docs/swagger-ui-bundle.js").text
    assert api.client.get("/docs/swagger-ui-bundle.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("name", ["none", "__init__.py", "..%2Fmain.py", "%2e%2e%2fmain.py"])
def test_no_other_file_is_given_out(api: RunningApi, name: str) -> None:
    assert api.client.get(f"/docs/{name}").status_code == 404


def test_head_is_answered_wherever_get_is(api: RunningApi) -> None:
    api.define("heads", {})
    flow = api.register("heads")
    paths = ["/flows", f"/flows/{flow}", f"/flows/{flow}/events", f"/flows/{flow}/tasks/1", "/tasks"]
    paths += [
        "/workflows",
        "/workflows/heads",
        "/limits",
        "/strikes",
        "/top",
        "/workers",
        "/programs",
        "/healthz",
    ]
    paths += ["/openapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui.css"]
    for path in paths:
        # What tells of this moment (/top) may have other numbers a moment later: then both are asked again.
        for left in range(20, -1, -1):
            head, got = api.client.head(path), api.client.get(path)
            assert (head.status_code, head.content) == (200, b""), path
            assert head.headers["content-type"] == got.headers["content-type"], path
            if head.headers["content-length"] == got.headers["content-length"]:
                break
            assert left, path
    assert api.client.head("/readyz").status_code == 200
    assert api.client.head("/workflows/none").status_code == 404
    assert api.client.head("/flows?limit=0").status_code == 422
    refused = api.client.head("/register/heads")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
