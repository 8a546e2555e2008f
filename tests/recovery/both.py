"""Both stores of one partition, and what tests of a recovery do to them."""

import asyncio
from typing import LiteralString

from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition, read_meta
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold
from flower_engine.model.folding.schedule_state import fold_schedules
from flower_engine.model.invariants.invariants import differences
from flower_engine.progress import Tell
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.maintain.gaps import read_gaps
from flower_engine.runtime.redis_recovery import Recovered, Recovery
from flower_projector.log_follower import Follower
from scripts.engine import Engine

MAX_LOST = 3
_PATIENCE_SECONDS = 120.0


class Both:
    """``engine`` works on Redis; the archive follows when ``project`` is called."""

    def __init__(
        self,
        engine: Engine,
        database_url: str,
        connection: Connection,
        recoverer: Connection,
        other: Connection,
    ) -> None:
        self.engine = engine
        self.client: AsyncRedis = engine.client
        self.connection = connection
        self._database_url = database_url
        self._recoverer = recoverer
        self.other = other

    async def project(self) -> None:
        """Archives and projects the whole log, on a session of its own, as nobody keeps one idle for long."""
        async with await connect(self._database_url, "projector") as connection:
            follower = Follower(self.client, connection, self.engine.partition, 5_000)
            while await follower.run_once():
                pass

    async def wipe(self) -> None:
        """Redis loses everything."""
        await send(self.client, "FLUSHALL")

    def recovery(self, connection: Connection | None = None, *, tell: Tell | None = None) -> Recovery:
        return Recovery(
            self.client,
            connection or self._recoverer,
            installation=self.engine.partition.installation,
            partition=0,
            max_lost=MAX_LOST,
            remember_seconds=3_600,
            tell=tell or (lambda _what, _done, _total: None),
        )

    def recover_connection(self) -> Connection:
        """The one that recoveries use."""
        return self._recoverer

    async def recover(self) -> Recovered:
        """Recovers, and works on with the new generation."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while (result := await self.recovery().run()) is None:  # until a killed one's lock is free
                await self.connection.execute("SELECT pg_sleep(0.01)")
        await self._recoverer.execute("SELECT pg_advisory_unlock_all()")
        await self.take_up()
        return result

    async def take_up(self) -> None:
        """The engine works with the generation that holds now, as services do when they begin anew."""
        meta = await read_meta(self.client, 0)
        assert meta is not None
        assert meta.generation
        self.engine.partition = Partition(0, meta.installation, meta.generation)
        await self.engine.attend("default")

    async def archived(self) -> list[AnyEvent]:
        """Every archived event, in order."""
        rows = await self.connection.execute(
            "SELECT convert_to(event::text, 'UTF8') FROM kr_event WHERE event IS NOT NULL"
            " ORDER BY position_ms, position_seq"
        )
        return [decode_event(bytes(raw)) async for (raw,) in rows]

    async def flows(self) -> dict[str, FlowState]:
        """The fold of the whole history, once all of it is archived."""
        await self.project()
        return fold(await self.archived())

    async def check(self) -> dict[str, FlowState]:
        """Redis is what the whole history says; of flows that a gap swallowed it says nothing."""
        flows = await self.flows()
        live = await read_live_state(self.client, self.engine.partition)
        for gap in await read_gaps(self.connection):
            live.ended.difference_update(gap.unseen)
        known = {flow: state for flow, state in flows.items() if state.ended_ms is None or flow in live.ended}
        schedules = fold_schedules(await self.archived())
        assert differences(known, live, schedules=schedules) == []
        return flows

    async def copy(self) -> dict[bytes, bytes]:
        """Redis as it is now, for ``go_back``."""
        keys: list[bytes] = await send(self.client, "KEYS", "*")
        return {key: await send(self.client, "DUMP", key) for key in keys}

    async def go_back(self, copied: dict[bytes, bytes]) -> None:
        """Redis is as it was then, as after a failover to a replica that was behind."""
        await send(self.client, "FLUSHALL")
        for key, value in copied.items():
            await send(self.client, "RESTORE", key, 0, value)

    async def count(self, query: LiteralString) -> int:
        row = await (await self.connection.execute(query)).fetchone()
        assert row is not None
        return int(row[0])
