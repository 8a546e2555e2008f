"""Blobs: stored as they come, found by their hash, refused where they are not what they are said to be."""

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from api.serving import RunningApi, details

SHORT = b"a few bytes"
LONG = os.urandom(3 * (1 << 20) + 17)  # more than one chunk, and than no whole number of them


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _put(api: RunningApi, content: bytes, name: str | None = None) -> httpx.Response:
    return api.client.put(f"/blobs/{name or _name(content)}", content=content)


def _chunks(api: RunningApi) -> int:
    return int(api.sql("SELECT count(*) FROM kr_blob_chunk")[0][0])


@pytest.mark.parametrize("content", [b"", SHORT, LONG], ids=["empty", "short", "long"])
def test_a_blob_is_given_out_as_it_was_stored(api: RunningApi, content: bytes) -> None:
    reply = _put(api, content)
    assert (reply.status_code, reply.json()) == (201, {"sha256": _name(content), "bytes": len(content)})
    found = api.client.get(f"/blobs/{_name(content)}")
    assert found.content == content
    assert found.headers["content-length"] == str(len(content))
    asked = api.client.head(f"/blobs/{_name(content)}")
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == str(len(content))


def test_the_same_blob_again_is_one_blob(api: RunningApi) -> None:
    content = os.urandom(2 << 20)
    assert _put(api, content).status_code == 201
    chunks = _chunks(api)
    assert _put(api, content).status_code == 200
    assert _chunks(api) == chunks


def test_many_who_store_the_same_blob_at_once_make_one(api: RunningApi) -> None:
    content = os.urandom(2 << 20)
    chunks = _chunks(api)
    with ThreadPoolExecutor(4) as threads:
        statuses = [reply.status_code for reply in threads.map(_put, [api] * 8, [content] * 8)]
    assert sorted(statuses) == [200] * 7 + [201]
    assert _chunks(api) == chunks + 2
    assert api.client.get(f"/blobs/{_name(content)}").content == content


def test_a_body_of_chunks_is_a_blob_too(api: RunningApi) -> None:
    content = os.urandom(1_500_000)

    def parts() -> Iterator[bytes]:
        for at in range(0, len(content), 7_001):
            yield content[at : at + 7_001]

    reply = api.client.put(f"/blobs/{_name(content)}", content=parts())
    assert reply.status_code == 201
    assert api.client.get(f"/blobs/{_name(content)}").content == content


def test_what_is_not_as_its_hash_says_is_refused_and_leaves_nothing(api: RunningApi) -> None:
    chunks = _chunks(api)
    reply = _put(api, os.urandom(2 << 20), _name(b"something else"))
    assert reply.status_code == 409
    assert "was changed on its way" in details(reply)[0]
    assert _chunks(api) == chunks
    assert api.client.get(f"/blobs/{_name(b'something else')}").status_code == 404


@pytest.mark.parametrize("name", ["x", "A" * 64, "0" * 63, "0" * 65, "..%2f..%2fetc"])
def test_a_name_that_is_no_hash_is_refused(api: RunningApi, name: str) -> None:
    for method in ("PUT", "GET", "HEAD"):
        assert api.client.request(method, f"/blobs/{name}").status_code in (404, 422)


def test_a_blob_that_is_not_there_is_said_to_be_so(api: RunningApi) -> None:
    for method, path in (("GET", ""), ("HEAD", ""), ("POST", "/touch")):
        reply = api.client.request(method, f"/blobs/{'0' * 64}{path}")
        assert reply.status_code == 404
        if method != "HEAD":
            assert reply.json()["type"] == "urn:flower:problem:unknown-blob"


def test_to_store_or_touch_a_blob_keeps_it(api: RunningApi) -> None:
    content = os.urandom(1_000)
    _put(api, content)

    def is_fresh() -> bool:
        found = api.sql(
            "SELECT touched_ts > now() - interval '1 hour' FROM kr_blob WHERE sha256 = %s", _name(content)
        )
        api.sql("UPDATE kr_blob SET touched_ts = now() - interval '9 days' WHERE sha256 = %s", _name(content))
        return bool(found[0][0])

    assert is_fresh()
    assert not is_fresh()
    assert api.client.post(f"/blobs/{_name(content)}/touch").status_code == 204
    assert is_fresh()
    assert _put(api, content).status_code == 200
    assert is_fresh()


def test_a_blob_has_a_bound_and_bodies_of_other_calls_keep_theirs(
    start_api: Callable[..., RunningApi],
) -> None:
    with start_api(max_blob_mb=20) as api:
        content = os.urandom(20 << 20)  # more than any other body may have
        assert _put(api, content).status_code == 201
        reply = _put(api, content + b"!")
        assert reply.status_code == 413
        assert "FLOWER_MAX_BLOB_MB" in details(reply)[0]

        def parts() -> Iterator[bytes]:
            yield from [content, b"!"]

        assert api.client.put(f"/blobs/{_name(SHORT)}", content=parts()).status_code == 413
        assert api.sql("SELECT count(*) FROM kr_blob_chunk") == [(20,)]
        other = api.client.put("/workflows/w", content=b"[" * (9 << 20))
        assert other.status_code == 413


def test_an_upload_that_is_cut_off_leaves_nothing(api: RunningApi) -> None:
    chunks = _chunks(api)
    host, port = httpx.URL(api.url).host, httpx.URL(api.url).port
    with socket.create_connection((host, port or 80)) as half:
        half.sendall(
            b"PUT /blobs/" + _name(LONG).encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
            + str(len(LONG)).encode() + b"\r\n\r\n" + LONG[: 2 << 20]
        )  # fmt: skip
        api.wait_for(lambda: _chunks(api) > chunks)
    api.wait_for(lambda: _chunks(api) == chunks)
    assert _put(api, LONG).status_code in (200, 201)


def test_only_operators_may_store_and_readers_may_read(start_api: Callable[..., RunningApi]) -> None:
    with start_api(api_tokens="worker:W-SECRET-1,reader:R-SECRET-2:read") as api:
        for token, expected in (("W-SECRET-1", 201), ("R-SECRET-2", 403), ("nobody", 401)):
            reply = api.client.put(
                f"/blobs/{_name(SHORT)}", content=SHORT, headers={"Authorization": f"Bearer {token}"}
            )
            assert reply.status_code == expected
        found = api.client.get(f"/blobs/{_name(SHORT)}", headers={"Authorization": "Bearer R-SECRET-2"})
        assert found.content == SHORT
