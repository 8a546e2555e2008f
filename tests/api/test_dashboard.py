"""The dashboard's page: what of it is served, to whom, and what a browser may do with it."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from api.serving import RunningApi
from flower_api.routes import dashboard


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle like that which the build makes."""
    files = {
        "index.html": b"<!doctype html><title>Flower</title>",
        "app-ABCDEFGH.js": b"1;" * 1_000,
        "app-ABCDEFGH.css": b"a{}",
        "icon.svg": b"<svg/>",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    (tmp_path / "sources.sha256").write_text("x")
    monkeypatch.setattr(dashboard, "BUNDLE", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("bundle")
def test_the_page_may_load_only_from_here_and_stands_in_no_frame(api: RunningApi) -> None:
    for path in ("/", "/ui/app-ABCDEFGH.js", "/ui/icon.svg"):
        reply = api.client.get(path)
        assert reply.status_code == 200
        policy = reply.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert api.client.get("/").headers["content-type"].startswith("text/html")
    assert api.client.head("/").status_code == 200


@pytest.mark.usefixtures("bundle")
def test_files_are_sent_compressed_and_kept_where_their_name_says_what_is_in_them(api: RunningApi) -> None:
    reply = api.client.get("/ui/app-ABCDEFGH.js", headers={"Accept-Encoding": "br, gzip"})
    assert (reply.headers["content-encoding"], reply.content) == ("gzip", b"1;" * 1_000)
    assert int(reply.headers["content-length"]) < 100
    assert "immutable" in reply.headers["cache-control"]
    for accepted in ("identity", "br", "gzip;q=0"):
        plain = api.client.get("/ui/app-ABCDEFGH.js", headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in plain.headers and plain.content == b"1;" * 1_000
    assert api.client.get("/").headers["cache-control"] == "no-cache"
    assert api.client.get("/ui/icon.svg").headers["cache-control"] == "no-cache"


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize(
    "name",
    [
        "none.js",
        "index.html",
        "sources.sha256",
        "app-ABCDEFGH.js.gz",
        "..%2Fapp.py",
        "%2Fetc%2Fpasswd",
        ".js",
        "a\0.js",
        "ä.js",
        "x" * 500 + ".js",
    ],
)
def test_nothing_else_is_served(api: RunningApi, name: str) -> None:
    assert api.client.get("/ui/" + name.replace("\0", "%00")).status_code == 404


def test_without_a_bundle_the_page_says_what_is_missing(
    api: RunningApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "BUNDLE", tmp_path / "none")
    reply = api.client.get("/")
    assert reply.status_code == 503
    assert "python dashboard/bundle.py" in reply.text and "make run" in reply.text
    assert "script" not in reply.text
    assert "default-src 'self'" in reply.headers["content-security-policy"]


@pytest.mark.usefixtures("bundle")
def test_the_page_needs_no_token_and_shows_nothing(start_api: Callable[..., RunningApi]) -> None:
    guarded = start_api(api_tokens="alice:s3cret")
    assert guarded.client.get("/").status_code == 200
    assert guarded.client.get("/ui/icon.svg").status_code == 200
    assert guarded.client.get("/flows").status_code == 401
    assert guarded.client.post("/").status_code == 405


@pytest.mark.usefixtures("bundle")
def test_a_link_from_anywhere_leads_to_the_page_but_no_other_name_of_the_host_does(api: RunningApi) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert api.client.get("/", headers=followed).status_code == 200
    assert api.client.get("/flows", headers=followed).status_code == 403
    assert api.client.get("/session", headers=followed).status_code == 403
    assert api.client.post("/", headers=followed).status_code == 403
    assert api.client.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert api.client.get("/ui/icon.svg", headers={"Host": "evil.example"}).status_code == 403
