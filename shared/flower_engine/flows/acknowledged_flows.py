"""Registrations that were acknowledged of late, so that those which a Redis lost can be named afterwards.

What Redis acknowledged from its memory and lost before it was archived nobody can bring back. Who told
clients that it is registered can at least say how much that was, and what. It is kept in memory alone: an API
that dies at the same moment takes its part of the knowledge along.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from flower_engine.errors import StoreUnavailableError
from flower_engine.insight.known_flows import are_known
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_MOST = 10_000  # of a partition, about a megabyte; a replica is behind by a fraction of that
_MOST_NAMED = 20

Archived = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Which of some flows the archive knows."""


class AcknowledgedFlows:
    """The last flows of each partition that this process acknowledged."""

    def __init__(self) -> None:
        self._last: dict[int, deque[str]] = {}

    def note(self, partition: int, flows: Iterable[str]) -> None:
        """They were acknowledged; of each partition those of the last so many are kept."""
        last = self._last.get(partition)
        if last is None:
            last = self._last[partition] = deque(maxlen=_MOST)
        last.extend(flows)

    async def say_lost(self, client: AsyncRedis, partition: Partition, archived: Archived) -> list[str]:
        """Says which of them no store has, now that the partition was recovered; returns them. Once asked,
        they are forgotten; where a store does not answer they are kept, for another time."""
        flows = list(self._last.get(partition.number, ()))
        if not flows:
            return []
        try:
            known = await are_known(client, partition, flows)
            unknown = [flow for flow in flows if flow not in known]
            stored = await archived(unknown) if unknown else set[str]()
        except (*STORE_ERRORS, StoreUnavailableError) as error:
            _log.warning("it is not known which registrations partition %d lost: %s", partition.number, error)
            return []
        self._last[partition.number].clear()
        lost = [flow for flow in unknown if flow not in stored]
        if lost:
            more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
            _log.error(
                "%d of the last %d registrations that this process acknowledged in partition %d are in no"
                " store any more: Redis lost them before they were archived. Register them again: %s%s",
                *(len(lost), len(flows), partition.number, ", ".join(lost[:_MOST_NAMED]), more),
            )
        else:
            _log.info(
                "none of the last %d registrations that this process acknowledged in partition %d is lost",
                *(len(flows), partition.number),
            )
        return lost
