"""Flows by what people type: the first characters of an id, or ``last``."""

import re

import msgspec

from flower_engine.errors import AmbiguousFlowError, UnknownFlowError
from flower_engine.flows.stores import Stores
from flower_engine.log.reader import read_back
from flower_engine.model.events.events import FlowRegistered, decode_event

LAST = "last"
MOST_NAMED = 5  # flows that a refusal lists
_PREFIX = re.compile(r"[0-9a-f-]{1,36}")
_PAGE_EVENTS = 1_000
_MOST_EVENTS = 50_000  # of a partition's log, read for flows that are not projected yet


async def find_flow_id(stores: Stores, name: str) -> str:
    """The id of the flow that ``name`` means: the only one that begins so, or the one registered last.

    A flow is found once its registration was acknowledged, projected or not.

    Raises:
        UnknownFlowError: there is no such flow.
        AmbiguousFlowError: several flows begin so; names some of them.
    """
    prefix = name.lower()
    if prefix != LAST and not _PREFIX.fullmatch(prefix):
        raise UnknownFlowError(f"no flow has the id {name!r}, or one that begins so")
    unprojected = await _registered_lately(stores)
    if prefix == LAST:
        return await _newest(stores, unprojected)
    known = await stores.archive.beginning_with(prefix, MOST_NAMED + 1)
    found = sorted({*known, *(flow for flow, _ in unprojected if flow.startswith(prefix))})
    if not found:
        raise UnknownFlowError(f"no flow has the id {name!r}, or one that begins so")
    if len(found) > 1:
        named = ", ".join(found[:MOST_NAMED]) + (", ..." if len(found) > MOST_NAMED else "")
        raise AmbiguousFlowError(f"several flows begin with {name!r}: {named}; give more of it")
    return found[0]


async def _newest(stores: Stores, unprojected: list[tuple[str, int]]) -> str:
    if unprojected:
        return max(unprojected, key=lambda one: (one[1], one[0]))[0]
    found = await stores.archive.newest()
    if found is None:
        raise UnknownFlowError("no flow was registered yet")
    return found


async def _registered_lately(stores: Stores) -> list[tuple[str, int]]:
    """Flows whose registration is not projected, each with its time in ms; a log that is far behind is read
    only in part, its end first."""
    found: list[tuple[str, int]] = []
    for partition in stores.living:
        projected = await stores.archive.position(partition.number)
        before, read = None, 0
        async with stores.log_readers:
            while read < _MOST_EVENTS:
                page = await read_back(
                    stores.redis, partition.keys, before=before, after=projected, count=_PAGE_EVENTS
                )
                read += len(page.entries)
                found += filter(None, (_registration(entry.raw) for entry in page.entries))
                if page.is_all:
                    break
                before = page.entries[-1].position
    return found


def _registration(raw: bytes) -> tuple[str, int] | None:
    if b"flow.registered" not in raw:
        return None
    try:
        event = decode_event(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # the projector says what is wrong with it
    return (event.flow, event.at) if isinstance(event, FlowRegistered) else None
