"""A Redis that was lost: noticing it, and waiting until somebody recovered it (see ``loss_recovery.py``)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from flower_engine.errors import GrownError, LostError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Meta, Partition, read_meta
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import until_there
from flower_engine.store_faults import words_of

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_SAY_AGAIN_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 1.0  # while another recovery is at work


async def again_after_losses(
    stop: asyncio.Event,
    work: Callable[[bool], Awaitable[None]],
    on_lost: Callable[[LostError], Awaitable[None]] | None = None,
) -> None:
    """Works; begins anew each time that Redis was lost meanwhile, or grew, until ``stop`` is set.

    ``work`` is told whether this is the start of the service: what ends a start is waited for later on.
    ``on_lost`` is called between (default: wait a little, and say what for).
    """
    waiting = on_lost or Waiting(stop).wait
    is_start = True
    while True:
        try:
            return await work(is_start)
        except GrownError as error:
            is_start = False
            _log.warning("%s", error)
        except LostError as error:
            if stop.is_set():
                return None
            is_start = False
            await waiting(error)


@dataclass
class Standings:
    """Partitions that cannot be worked on, with why, while others can.

    ``away``: their server does not answer. ``lost``: what they held is gone, they are halted, or they were
    recovered; then they are among ``recovered``, too, as they are now. ``retiring``: those that get no new
    flows.
    """

    away: dict[int, str] = field(default_factory=dict[int, str])
    retiring: set[int] = field(default_factory=set[int])
    lost: dict[int, str] = field(default_factory=dict[int, str])
    recovered: list[Partition] = field(default_factory=list[Partition])


class Waiting:
    """Waits for somebody to recover Redis, and says so now and then."""

    def __init__(self, stop: asyncio.Event | None = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """``stop`` ends a wait."""
        self._stop = stop
        self._clock = clock
        self._say_at = 0.0
        self._said = ""

    async def wait(self, error: LostError) -> None:
        """Waits a little, before the next look."""
        now = self._clock.monotonic()
        if str(error) != self._said or now >= self._say_at:
            self._said, self._say_at = str(error), now + _SAY_AGAIN_SECONDS
            _log.error("waiting for Redis to be recovered (flower recover): %s", error)
        await self._clock.rest(_LOOK_SECONDS, self._stop)


async def until_lost(
    client: AsyncRedis,
    partitions: Callable[[], Sequence[Partition]],
    on_look: Callable[[Standings], None] = lambda _: None,
) -> str:
    """Returns, with a reason, once no partition has the generation any more that it is given with.

    Of several, ``on_look`` is told of those that are away or lost, each time that Redis has answered.
    """

    async def look() -> str | None:
        asked = partitions()
        metas = await from_each(client, asked, lambda one: read_meta(client, one.number))
        standings = Standings(away={number: words_of(error) for number, error in metas.away.items()})
        for one in asked:
            meta = metas.found.get(one.number)
            if meta is not None and (meta.is_retiring or meta.is_retired):
                standings.retiring.add(one.number)
                if meta.is_retired:
                    continue  # it is empty, and taken away
            if one.number in metas.away or (meta is not None and meta.generation == one.generation):
                continue
            standings.lost[one.number] = why_not(one.number, meta)
            if meta is not None and meta.generation:
                standings.recovered.append(
                    Partition(one.number, meta.installation, meta.generation, meta.partitions)
                )
        if len(standings.lost) == len(asked):
            return next(iter(standings.lost.values()))
        on_look(standings)
        return None

    return await until_there(look, _LOOK_AGAIN_SECONDS)


def why_not(number: int, meta: Meta | None) -> str:
    """Why a partition cannot be worked on, if it cannot."""
    if meta is None:
        return f"partition {number} is lost: recover it from the archive (flower recover)"
    if meta.is_retired:
        return (
            f"partition {number} was retired, and this Postgres is from before: recover it from the archive"
            " (flower recover)"
        )
    if meta.recovering and not meta.generation:
        return f"partition {number} is being recovered, as generation {meta.recovering}"
    if not meta.generation:
        return f"partition {number} was halted: {meta.halted_why}{_told(meta)}; recover it (flower recover)"
    return f"partition {number} was recovered: it is at generation {meta.generation} now"


def _told(meta: Meta) -> str:
    """What is known of flows that a Redis which went back had acknowledged and lost."""
    if meta.rewound is None:
        return ""
    return (
        ". What it had acknowledged since and nobody archived cannot be brought back:"
        f" {meta.rewound} outcomes came for flows that it does not know"
    )
