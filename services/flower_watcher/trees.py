"""The loop of one partition for trees of flows: children begin, and follow their parents."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.transitions.tree_transitions import (
    Begun,
    DueChild,
    begin_children,
    look_at_trees,
    wait_for_trees,
)
from flower_watcher.occasional_stores import OccasionalStores

if TYPE_CHECKING:
    from flower_engine.flows.begun_children import ChildPlans

_log = logging.getLogger(__name__)
_LONGEST_SECONDS = 1.0  # then look anyway: a bell only wakes


class TreeLoop:
    """Looks at what is noted of trees. Any number of watchers may: a child begins once."""

    def __init__(
        self, client: AsyncRedis, partition: Partition, stores: OccasionalStores, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """``stores``: where the workflows of children are, opened when the first is to begin."""
        self._client = client
        self._partition = partition
        self._stores = stores
        self._clock = clock
        self._plans: ChildPlans | None = None

    async def run(self) -> None:
        """Works until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        number = self._partition.number
        backoff = StoreBackoff(_log, f"the stores (trees of partition {number})")
        await Loop(f"trees of partition {number}", self._look, 0, backoff, partition=number).run()

    async def _look(self) -> None:
        if not await self.run_once():
            await wait_for_trees(self._client, self._partition, _LONGEST_SECONDS)

    async def run_once(self) -> bool:
        """Does what one call does; whether there is more to do now."""
        more, due = await look_at_trees(self._client, self._partition)
        if due:
            begun = await self._outcomes(due)
            words = await begin_children(self._client, self._partition, begun)
            _log.debug("%d children began or ended, %d are stale", words.count("ok"), words.count("stale"))
        return more

    async def _outcomes(self, due: Sequence[DueChild]) -> list[tuple[DueChild, Begun]]:
        from flower_engine.flows.ended_children import ended_children  # noqa: PLC0415 # few ever need it

        stores = await self._stores.open()
        if self._plans is None:
            from flower_engine.flows.begun_children import ChildPlans  # noqa: PLC0415
            from flower_engine.flows.result_blobs import read_blob  # noqa: PLC0415

            self._plans = ChildPlans(stores.definitions, self._clock, partial(read_blob, stores))
        in_doubt = [one for one in due if one.is_in_doubt]
        ended = await ended_children(stores, in_doubt) if in_doubt else {}
        found: list[tuple[DueChild, Begun]] = []
        for one in due:
            known = ended.get(one.member)
            if known is None or known.begins:
                begun = await self._plans.begin(one)
                found += [(one, begun)] if begun is not None else []
            elif known.outcome is not None:
                found.append((one, known.outcome))
        return found
