"""Reruns after which maps take over what the same items came to before."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from flower_engine.errors import NeedsEarlierError, RefusedError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold_items import earlier_after
from flower_engine.model.maps.earlier_items import earlier_text
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import MAP
from flower_engine.transitions.operator_transitions import Earlier, Operated, refusal, rerun

MOST_EARLIER_BYTES = 4 * 1024 * 1024
"""Of all earlier items of the maps of a rerun: they lie in Redis until these have their items."""
_TRIES = 5


async def rerun_matched(
    state: Callable[[], Awaitable[FlowState]],
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    **asked: Any,
) -> Operated:
    """As ``operator_transitions.rerun``; what it needs of the items that maps had is found in the flow's
    ``state``, and sent at once where it is matched with any: a call that asks for it reads the whole flow."""
    earlier = _foreseen(await state()) if asked.get("scope") == "changed" else {}
    for _ in range(_TRIES - 1):
        try:
            return await rerun(client, partition, flow, earlier=earlier, **asked)
        except NeedsEarlierError as error:
            earlier = earlier_of(await state(), error.tasks)
    return await rerun(client, partition, flow, earlier=earlier, **asked)


def _foreseen(flow: FlowState) -> Earlier:
    """Those of all maps, of which not all may be expanded; {}: they are too large together."""
    maps = [task.planned.seq for task in flow.tasks if task.planned.program == MAP]
    try:
        return earlier_of(flow, maps)
    except RefusedError:
        return {}


def earlier_of(flow: FlowState, maps: Iterable[int]) -> Earlier:
    """The items that these maps have and had, as a rerun takes them.

    Raises:
        RefusedError: they are too large.
    """
    found = {seq: (_stamp(flow, seq), earlier_text(earlier_after(flow, seq))) for seq in maps}
    _refuse_too_large(flow, (text for _, text in found.values()))
    return found


def refuse_too_large(flow: FlowState, maps: Iterable[int]) -> None:
    """The same for a flow in which these maps are to be expanded, and matched."""
    _refuse_too_large(flow, (earlier_text(flow.task(seq).earlier) for seq in maps))


def _refuse_too_large(flow: FlowState, texts: Iterable[bytes]) -> None:
    size = sum(map(len, texts))
    if size > MOST_EARLIER_BYTES:
        raise refusal(flow.flow, "too-large", str(size), str(MOST_EARLIER_BYTES))


def _stamp(flow: FlowState, seq: int) -> str:
    """What they follow from (``lua/lib/matched_maps.lua``)."""
    task = flow.task(seq)
    items = map(flow.task, numbers_of(task.planned.items))
    finished = (f"{one.planned.seq}:{one.attempt}" for one in items if one.status is Status.FINISH)
    return " ".join((str(task.attempt), *finished))
