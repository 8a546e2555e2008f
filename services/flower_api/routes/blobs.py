"""``/blobs``: results and files that are too large for an event, stored by the sha256 of what they hold."""

import hashlib
import logging
import uuid
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import psycopg
from fastapi import FastAPI, Path, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from flower_api.head_requests import method_of
from flower_api.openapi import replies, reply
from flower_api.problems import ProblemError
from flower_api.request_bodies import Bodies
from flower_api.schemas import View
from flower_engine.errors import FlowerError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.blobs import contents
from flower_engine.projection.blobs.contents import CHUNK_BYTES, StoredBlob
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_MB = 1 << 20
_BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
Sha256 = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="The sha256 of the content, as 64 hexadecimal digits.")
]


class BlobView(View):
    """A blob that is stored; ``bytes`` is its size."""

    sha256: str
    bytes: int


class _Upload:
    """What comes of a body: chunks in Postgres, and at last the blob."""

    def __init__(self, stores: PostgresStores, sha256: str, most_bytes: int) -> None:
        self._stores = stores
        self._sha256 = sha256
        self._most_bytes = most_bytes
        self._id = uuid.uuid4()
        self._hash = hashlib.sha256()
        self._unwritten = bytearray()
        self._written = 0
        self.size = 0

    async def add(self, part: bytes) -> None:
        """Takes the next part of the body.

        Raises:
            ProblemError: it is longer than it may be.
        """
        self.size += len(part)
        if self.size > self._most_bytes:
            raise _too_large(self._most_bytes)
        self._hash.update(part)
        self._unwritten += part
        while len(self._unwritten) >= CHUNK_BYTES:
            await self._write(bytes(self._unwritten[:CHUNK_BYTES]))
            del self._unwritten[:CHUNK_BYTES]

    async def end(self) -> bool:
        """Makes it the blob; whether there was none before.

        Raises:
            ProblemError: its hash is another one.
        """
        found = self._hash.hexdigest()
        if found != self._sha256:
            raise ProblemError(
                409,
                "blob-hash",
                f"the body of {self.size} bytes has the sha256 {found}, and not that of its path: it was"
                " changed on its way, or named wrongly",
            )
        if self._unwritten:
            await self._write(bytes(self._unwritten))
        async with self._stores.postgres() as connection:
            return await contents.complete(connection, self._sha256, self._id, self.size)

    async def discard(self) -> None:
        """Takes back what was written; what cannot be taken back now is pruned some day."""
        if self._written:
            try:
                async with self._stores.postgres() as connection:
                    await contents.discard(connection, self._id)
            except (psycopg.Error, FlowerError) as error:
                _log.warning("an upload that failed leaves chunks until the next prune: %s", error)

    async def _write(self, chunk: bytes) -> None:
        async with self._stores.postgres() as connection:
            await contents.add_chunk(connection, self._id, self._written, chunk)
        self._written += 1


def add_blobs(app: FastAPI, stores: PostgresStores, max_blob_mb: int) -> None:
    """Adds the routes that store and give out blobs, of so many megabytes at most."""
    most_bytes = max_blob_mb * _MB

    @app.put(
        "/blobs/{sha256}",
        summary="Store a blob",
        responses=replies(
            {200: (BlobView, "It was there already"), 201: (BlobView, "It is stored")},
            problems=(409, 413, 422, 503),
        ),
        openapi_extra={"requestBody": {"required": True, "content": _BINARY}},
    )
    async def put(request: Request, sha256: Sha256) -> Response:
        """The body is the content, of any type; it is written as it comes, and there when the answer comes.
        One that is there already is touched: unused blobs stay for 7 days after that."""
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > most_bytes:
            raise _too_large(most_bytes)
        upload = _Upload(stores, sha256, most_bytes)
        bodies: Bodies = app.state.bodies
        bodies.take(CHUNK_BYTES)
        try:
            async for part in request.stream():
                await upload.add(part)
            is_new = await upload.end()
        except ClientDisconnect:
            await upload.discard()
            raise ProblemError(400, "incomplete-body", "the body did not come to its end") from None
        except BaseException:
            await upload.discard()
            raise
        finally:
            bodies.give_back(CHUNK_BYTES)
        return reply(BlobView(sha256, upload.size), 201 if is_new else 200)

    @app.get(
        "/blobs/{sha256}",
        summary="The content of a blob",
        responses={
            **replies({}, problems=(404, 422, 503)),
            200: {"description": "The content, as it was stored", "content": _BINARY},
        },
        response_class=StreamingResponse,
    )
    async def get(request: Request, sha256: Sha256) -> Response:
        """HEAD says whether it is there, and how long it is."""
        async with stores.postgres() as connection:
            blob = await contents.find(connection, sha256)
        if blob is None:
            raise _unknown(sha256)
        headers = {
            "Content-Length": str(blob.size),
            "ETag": f'"{sha256}"',
            "Cache-Control": "private, immutable, max-age=31536000",
            "Content-Disposition": f'attachment; filename="{sha256}"',  # no browser shows what anybody wrote
            "X-Content-Type-Options": "nosniff",
        }
        if method_of(request.scope) == "HEAD":
            return Response(headers=headers, media_type="application/octet-stream")
        bodies: Bodies = app.state.bodies
        bodies.take(CHUNK_BYTES)  # asked for here, where it can be refused, and held by what reads
        bodies.give_back(CHUNK_BYTES)
        return StreamingResponse(
            _content(stores, sha256, blob, bodies), headers=headers, media_type="application/octet-stream"
        )

    @app.post(
        "/blobs/{sha256}/touch",
        summary="Keep a blob that is there",
        status_code=204,
        responses=replies({}, problems=(404, 422, 503)),
    )
    async def touch(sha256: Sha256) -> Response:
        """Whoever is about to use a blob that may be there need not send it: 404 says that it is not. It
        stays for 7 days at least."""
        async with stores.postgres() as connection:
            if await contents.touch(connection, sha256) is None:
                raise _unknown(sha256)
        return Response(status_code=204)


async def _content(
    stores: PostgresStores, sha256: str, blob: StoredBlob, bodies: Bodies
) -> AsyncGenerator[bytes]:
    """The chunks, each read when the one before it is sent; where one cannot be had, the reply ends early,
    which its reader sees by its length."""
    bodies.bytes += CHUNK_BYTES
    try:
        for number in range(-(-blob.size // CHUNK_BYTES)):
            async with stores.postgres() as connection:
                chunk = await contents.read_chunk(connection, blob.upload, number)
            if chunk is None:
                _log.warning("blob %s was pruned while it was read", sha256)
                return
            yield chunk
    except (*STORE_ERRORS, FlowerError) as error:
        _log.warning("blob %s was sent in part only: %s", sha256, error)
    finally:
        bodies.give_back(CHUNK_BYTES)


def _unknown(sha256: str) -> ProblemError:
    return ProblemError(404, "unknown-blob", f"there is no blob {sha256}: it was never stored, or pruned")


def _too_large(most_bytes: int) -> ProblemError:
    return ProblemError(
        413, "too-large", f"the blob is longer than {most_bytes // _MB} MB (FLOWER_MAX_BLOB_MB)"
    )
