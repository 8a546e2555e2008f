"""Schedules in the tests of scripts: slots a second apart, the first of them a while ago."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from flower_engine.log.client import send
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.folding.schedule_state import ScheduleState, fold_schedules
from flower_engine.model.values.ids import make_flow_id
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.schedule_transitions import (
    Defined,
    Definition,
    Firing,
    KnownSchedule,
    SlotDecision,
    SlotsFired,
    define_schedules,
    fire_slots,
    read_schedules,
)
from scripts.engine import Engine, task

UID = "5b1c2a66-0f3e-4f0a-9c55-2d3c6b7a8e90"
LONG_AGO_MS = 100_000


class Schedules:
    """Slots 1, 2, 3... of schedules in an engine; ``begin``: the moment of slot 0."""

    def __init__(self, engine: Engine, begin: int) -> None:
        self.engine = engine
        self.begin = begin
        self.plan: FlowPlan = engine.plan(task(1))

    @classmethod
    async def of(cls, engine: Engine, *tasks: TaskDefinition, **definition: Any) -> "Schedules":
        """With one schedule of flows of these tasks, whose cursor is at slot 0."""
        found = cls(engine, await clock_ms(engine) - LONG_AGO_MS)
        if tasks:
            found.plan = engine.plan(*tasks)
        assert await found.define(**definition) == ["new"]
        return found

    def slot(self, number: int) -> int:
        return self.begin + 1000 * number

    def flow(self, number: int, uid: str = UID) -> str:
        """The id of the flow of a slot."""
        number_of = crc32(f"{uid} {number}".encode())
        return make_flow_id(self.slot(number), self.engine.partition.number, number_of)

    async def define(self, uid: str = UID, version: int = 1, **more: Any) -> list[Defined]:
        more = {"name": "nightly", "state": "active", "least_cursor_ms": self.begin, **more}
        definition = Definition(uid=uid, version=version, **more)
        return await define_schedules(self.engine.client, self.engine.partition, [definition])

    def fire(self, number: int, uid: str = UID, **more: Any) -> SlotDecision:
        said: dict[str, Any] = {
            "kind": "fire",
            "first": self.slot(number),
            "last": self.slot(number),
            "count": 1,
        }
        said |= {"due_ms": self.slot(number), "plan": self.plan, "flow": self.flow(number, uid)}
        said |= {"previous": self.slot(number - 1), "following": self.slot(number + 1)}
        return SlotDecision(**{**said, **more})

    def miss(self, first: int, last: int, kind: Any = "miss", reason: str = "unwatched") -> SlotDecision:
        return SlotDecision(
            kind=kind,
            first=self.slot(first),
            last=self.slot(last),
            count=last - first + 1,
            due_ms=self.slot(last),
            reason=reason,
        )

    async def propose(
        self, *decisions: SlotDecision, cursor: int | None = None, uid: str = UID, **more: Any
    ) -> SlotsFired:
        """What becomes of these decisions, made when the cursor was at this slot; None: where it is now."""
        (now,) = await read_schedules(self.engine.client, self.engine.partition, [uid])
        at = self.slot(cursor) if cursor is not None else (now.cursor if now else 0)
        said: dict[str, Any] = {
            "version": now.version if now else 1,
            "overlap": "allow",
            "next_due_ms": self.slot(500),
        }
        firing = Firing(uid=uid, cursor=at, decisions=decisions, **{**said, **more})
        (fired,) = await self.send(firing)
        return fired

    async def send(self, *firings: Firing) -> Sequence[SlotsFired]:
        return await fire_slots(self.engine.client, self.engine.partition, firings)

    async def known(self, uid: str = UID) -> KnownSchedule:
        (now,) = await read_schedules(self.engine.client, self.engine.partition, [uid])
        assert now is not None
        return now

    async def state(self, uid: str = UID) -> ScheduleState:
        """As the events have it."""
        return fold_schedules(await self.engine.events())[uid]

    async def fates(self, uid: str = UID) -> dict[int, str]:
        """What became of each slot, by its number; of a range, the first."""
        state = await self.state(uid)
        return {
            (slot - self.begin) // 1000: fate.state + (f" ({fate.reason})" if fate.reason else "")
            for (slot, _), fate in sorted(state.fates.items())
        }

    async def is_due(self, uid: str = UID) -> bool:
        """Whether a watcher is to look at it now."""
        due = await send(self.engine.client, "ZSCORE", self.engine.keys.schedules, uid)
        return due is not None and float(due) <= await clock_ms(self.engine)


async def clock_ms(engine: Engine) -> int:
    """Redis' clock."""
    seconds, micros = await send(engine.client, "TIME")
    return int(seconds) * 1000 + int(micros) // 1000
