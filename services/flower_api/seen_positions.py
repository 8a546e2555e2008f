"""Answers carry how far whoever asked has seen by now, so that none goes back behind what he saw.

Only where a replica of Postgres answers, too (``FLOWER_DATABASE_READ_URL``). What the replica does not know,
or fails at, is asked again of the primary before anybody hears of it.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flower_api.problems import ProblemError, answer
from flower_engine.errors import FlowerError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.read_replica import VIEWER, Viewer
from flower_engine.log.partition import Partition
from flower_engine.log.reader import last_position
from flower_engine.log.written_partitions import WRITTEN
from flower_engine.model.values.positions import as_numbers
from flower_engine.model.values.seen_position import HEADER, MOST_PARTITIONS, SeenPosition
from flower_engine.projection.read.standings import read_moved
from flower_engine.store_faults import STORE_ERRORS

_NAME = HEADER.lower().encode()
_READS = ("GET", "HEAD")
_WAITS = re.compile(rb"(^|&)(wait|follow|atLeast)=")
_OF_PRIMARY = re.compile(r"/(changes|log)$")
"""Who waits, or follows, is told by loops that look at the primary. Lines of task logs leave Redis seconds
after they are stored, so a replica that is late would have holes."""

_LOOKS_AT_NOTHING = re.compile(r"^/(healthz|readyz|metrics|ui/.*|login|logout|session|docs|openapi\.json)?$")
_PATIENCE_SECONDS = 2.0
_ERRORS = (*STORE_ERRORS, FlowerError)


class SeenPositions:
    """ASGI middleware that reads and writes the header."""

    def __init__(self, app: ASGIApp, stores: PostgresStores) -> None:
        self._app = app
        self._stores = stores

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _LOOKS_AT_NOTHING.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _NAME), b"")
        seen = SeenPosition.read(given.decode("latin-1")) if given else SeenPosition()
        if seen is None:
            detail = f"{HEADER} is what an answer said under this name, or is left out; this is neither"
            await answer(ProblemError(422, "invalid-request", detail))(scope, receive, send)
            return
        is_read = scope["method"] in _READS
        may_ask_replica = (
            is_read and not _WAITS.search(scope["query_string"]) and not _OF_PRIMARY.search(scope["path"])
        )
        asked = _Asked(self._stores, Viewer(seen, may_ask_replica=may_ask_replica), is_read=is_read)
        if await asked.is_answered(self._app, scope, receive, send):
            return
        asked.viewer.may_ask_replica = False
        await asked.is_answered(self._app, scope, receive, send)


class _Asked:
    """One request."""

    def __init__(self, stores: PostgresStores, viewer: Viewer, *, is_read: bool) -> None:
        self._stores = stores
        self.viewer = viewer
        self._is_read = is_read

    async def is_answered(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether there is an answer; not, if it is worth asking the primary."""
        viewer, is_void = self.viewer, False
        viewer.is_answered = False

        async def send_with(message: Message) -> None:
            nonlocal is_void
            if message["type"] == "http.response.start":
                is_failed = message["status"] == 404 or message["status"] >= 500
                is_void = is_failed and viewer.asked_replica and viewer.may_ask_replica
                if not is_void:
                    await self._add_to(MutableHeaders(scope=message))
            if not is_void:
                await send(message)

        written = None if self._is_read else set[int]()
        tokens = VIEWER.set(viewer), WRITTEN.set(written)
        try:
            await app(scope, receive, send_with)
        finally:
            viewer.is_answered = True  # what goes on behind the answer asks for nobody
            VIEWER.reset(tokens[0])
            WRITTEN.reset(tokens[1])
        return not is_void

    async def _add_to(self, headers: MutableHeaders) -> None:
        viewer, written = self.viewer, WRITTEN.get()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                if written is not None and "content-length" not in headers:
                    # It is told line by line as it is done.
                    written.update(one.number for one in self._stores.partitions)
                if written:
                    viewer.seen = viewer.seen.with_log(await self._ends(written))
                elif viewer.seen.is_anything and self._is_read and not viewer.may_ask_replica:
                    viewer.seen = await self._settled(viewer.seen)
        except _ERRORS:  # TimeoutError is an OSError
            viewer.seen = SeenPosition(viewer.seen.system, viewer.seen.wal, is_anything=True)
        if viewer.seen != SeenPosition():
            headers[HEADER] = viewer.seen.text

    async def _ends(self, numbers: Iterable[int]) -> Mapping[int, str]:
        """How far the logs of these partitions go."""
        known = {one.number: one for one in self._stores.partitions}
        some = [known[number] for number in sorted(numbers) if number in known]
        ends = await asyncio.gather(*(self._end(one) for one in some))
        return dict(zip((one.number for one in some), ends, strict=True))

    async def _end(self, partition: Partition) -> str:
        return await last_position(self._stores.redis, partition)

    async def _settled(self, seen: SeenPosition) -> SeenPosition:
        """The same where it is known again what the tables lack of all that was changed."""
        ends = await self._ends([one.number for one in self._stores.partitions])
        async with self._stores.primary() as connection:
            projected = await read_moved(connection)
        behind = {
            number: end for number, end in ends.items() if as_numbers(projected.get(number)) < as_numbers(end)
        }
        if len(behind) > MOST_PARTITIONS:
            return seen
        return SeenPosition(seen.system, seen.wal).with_log(behind)
