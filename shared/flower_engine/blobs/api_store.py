"""The store behind the API: ``/blobs`` of ``FLOWER_URL``, as whom ``FLOWER_TOKEN`` names.

Each call has a connection of its own: nothing of it is shared with what a program forks off.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from flower_engine.blobs.store import API, PART_BYTES, Open, parts_of
from flower_engine.errors import BlobRefusedError, BlobStoreError, MissingBlobError

if TYPE_CHECKING:
    import httpx

_SECONDS, _CONNECT_SECONDS = 60.0, 5.0
_ASK_BYTES = 256 * 1024  # larger ones are only sent if they are not there
_HERE = ("127.0.0.1", "localhost", "::1")
_NEVER = (HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)


class ApiStore:
    """Blobs in Postgres, through the API."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.name = API
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def put(self, sha256: str, size: int, content: Open) -> None:
        path = f"/blobs/{sha256}"
        with self._asking() as client:
            if size > _ASK_BYTES and self._touch(client, path):
                return
            with closing(content()) as file:
                reply = client.put(
                    path,
                    content=parts_of(file),
                    headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"},
                )
            if not reply.is_success:
                raise self._fault(reply)

    def touch(self, sha256: str, size: int) -> bool:
        with self._asking() as client:
            return self._touch(client, f"/blobs/{sha256}")

    def parts(self, sha256: str) -> Iterator[bytes]:
        with self._asking() as client, client.stream("GET", f"/blobs/{sha256}") as reply:
            if not reply.is_success:
                reply.read()
                if _is_missing(reply):
                    raise MissingBlobError(f"blob {sha256} is not in {self}: it was pruned, or never stored")
                raise self._fault(reply)
            yield from reply.iter_bytes(PART_BYTES)

    def __str__(self) -> str:
        return f"the API at {self._url}"

    def _touch(self, client: "httpx.Client", path: str) -> bool:
        reply = client.post(f"{path}/touch")
        if not reply.is_success and not _is_missing(reply):
            raise self._fault(reply)
        return reply.is_success

    @contextmanager
    def _asking(self) -> Generator["httpx.Client"]:
        import httpx  # noqa: PLC0415 # most workers never need it

        url = httpx.URL(self._url)
        try:
            with httpx.Client(
                base_url=url,
                headers=self._headers,
                timeout=httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS),
                verify=url.scheme != "http",
                trust_env=url.host not in _HERE,  # no proxy stands between this machine and itself
            ) as client:
                yield client
        except httpx.HTTPError as error:
            raise BlobStoreError(f"{self} cannot be reached: {error or type(error).__name__}") from error

    def _fault(self, reply: "httpx.Response") -> BlobStoreError | BlobRefusedError:
        """What no waiting heals, and what may be mended by somebody: a token, a setting, the API's stores."""
        said = f"{self} answers {reply.status_code}: {_detail(reply)}"
        if reply.status_code in _NEVER:
            return BlobRefusedError(said)
        if reply.status_code == HTTPStatus.UNAUTHORIZED:
            said += " (FLOWER_TOKEN of this worker)"
        return BlobStoreError(said)


def _is_missing(reply: "httpx.Response") -> bool:
    """Whether it is the API of Flower that says that the blob is not there."""
    return reply.status_code == HTTPStatus.NOT_FOUND and b"unknown-blob" in reply.content


def _detail(reply: "httpx.Response") -> str:
    try:
        body: dict[str, Any] = msgspec.json.decode(reply.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        return reply.text[:200] or reply.reason_phrase
    return str(body.get("detail", reply.reason_phrase))[:500]
