"""Hands in what maps come to: their items, in steps that never hold Redis long, and the lists of their
results."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping

import msgspec

from flower_engine.errors import BlobStoreError, SettingsError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.map_tasks import MOST_TASKS, tells_outcomes
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.flow_control.lanes import parse_lane
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.maps.map_expansion import (
    Expansion,
    expansion_of,
    gathered,
    keys_again,
    outcomes,
    too_many_failed,
    with_chain,
    with_taken,
)
from flower_engine.model.maps.map_lists import ListError
from flower_engine.model.tasks.raised_errors import encode_error
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.result_json import MAX_RESULT_BYTES, MAX_STORED_RESULT_BYTES
from flower_engine.transitions.decision_transitions import MapRead, Undecided, expand
from flower_engine.transitions.expansion_segments import Segment, SentItem, segments_of

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
INLINE_BYTES = 64 * 1024
STEP_FIELDS = 2_500
"""Of items that one call writes: by these, and by the bytes of messages and results, goes what it costs."""
_STEP_BYTES = 512 * 1024
_FIELDS_TAKEN = 3  # more of an item that takes a result over: that, its state, how its edges stand
_TRIES = 3  # another map of the flow may have been expanded meanwhile

Put = Callable[[bytes], Awaitable[BlobRef]]
"""Stores content as a blob."""


class Maps:
    """What one partition's maps come to."""

    def __init__(
        self, client: AsyncRedis, partition: Partition, by: str, put: Put | None, *, is_last: bool
    ) -> None:
        """``is_last``: it leaves nothing to others, because they can do no more."""
        self._client = client
        self._partition = partition
        self._by = by
        self._put = put
        self._is_last = is_last
        self._behind = ("", 0)  # of the flow that the last items came to, the number behind these

    async def evaluated(
        self, one: Undecided, found: MapRead, message: TaskMessage, contents: Mapping[int, bytes | None]
    ) -> Expansion | Decided | None:
        """Its items, the list that their results are, or an error; None: that is left to others, or to
        later."""
        if found.items:
            too_many = too_many_failed(message, len(found.items), found.given_up)
            return too_many or await self._stored(_list_of(found, message, contents))
        lane = parse_lane(found.lane)
        assert lane is not None, found.lane
        expansion = expansion_of(message, lane, TaskPolicy.parse(found.policy), contents, one.of)
        if not isinstance(expansion, Expansion):
            return expansion
        flow, task = one.of
        if found.followers:
            expansion = with_chain(expansion, task, found.followers, flow)
        return with_taken(expansion, task, found.earlier)

    async def _stored(self, payload: bytes) -> Decided | None:
        return await self.stored(Decided("gathered", payload))

    async def stored(self, outcome: Decided) -> Decided | None:
        """The list of a map, or what a child returns; where it is too large to travel with an event, where it
        is stored, or an error; None: that is left to others, or to later."""
        payload = outcome.payload
        if len(payload) <= INLINE_BYTES:
            return outcome
        most = MAX_RESULT_BYTES if self._put is None else MAX_STORED_RESULT_BYTES
        if self._put is None and not self._is_last:
            return None
        if len(payload) > most:
            what = (
                "what the flow returns is" if outcome.says == "returned" else "the results of its items are"
            )
            error = ListError(
                f"{what} {len(payload)} bytes together; {most} may be: return less, or where it lies"
                + ("" if self._put else " (with a store of blobs, FLOWER_BLOBS, more may be)")
            )
            return Decided(None, encode_error(error))
        if self._put is None:
            return outcome
        try:
            return Decided("stored", _encode(await self._put(payload)))
        except (BlobStoreError, SettingsError) as error:
            _log.warning("the list of a map, or what a child returns, cannot be stored now: %s", error)
            return None

    async def expand(self, one: Undecided, expansion: Expansion) -> Decided | None:
        """Hands in the items of a map; an error, if it is not to have them.

        Raises:
            LostError: Redis lost its state.
        """
        assert one.of_map is not None
        flow, _ = one.of
        first = one.of_map.first
        if self._behind[0] == flow:  # another map of it was read together with this one
            first = max(first, self._behind[1])
        for _ in range(_TRIES):
            name = secrets.token_hex(4)
            before, told, word = 0, 0, "more"
            for segment in segments_of(expansion, one.of[1]):
                for step in _steps(segment, first):
                    word, told = await expand(
                        self._client,
                        self._partition,
                        one,
                        by=self._by,
                        name=name,
                        items=step,
                        first=first,
                        before=before,
                        segment=segment,
                        most_tasks=MOST_TASKS,
                    )
                    before += len(step)
                    if word != "more":
                        break
                if word != "more":
                    break
            _log.debug("%s: %d items, handed in: %s", one, expansion.total, word)
            if word == "many":
                error = ListError(
                    f"its flow would have more than {MOST_TASKS} tasks with its items: map a workflow, each"
                    " of whose flows has tasks of its own"
                )
                return Decided(None, encode_error(error))
            if word == "ok":
                self._behind = (flow, first + expansion.total)
            if word != "anew":
                return None
            first = told
        return None


def _list_of(found: MapRead, message: TaskMessage, contents: Mapping[int, bytes | None]) -> bytes:
    """What a map comes to, once its items have ended."""
    if tells_outcomes(message.parameters):
        keys = found.keys if any(found.keys) else keys_again(message, contents)
        keys = keys if len(keys) == len(found.items) else []
        return outcomes(found.ends, [contents.get(item) for item in found.items], found.reasons, keys)
    return gathered(found.items, contents.get)


def _steps(segment: Segment, first: int) -> Iterator[list[SentItem]]:
    """The items, so many at a time as one call takes; ``first``: the number of the expansion's first one."""
    step: list[SentItem] = []
    fields = size = 0
    of_each = segment.fields_of_each
    for one in segment.items(first):
        step.append(one)
        fields += of_each + (_FIELDS_TAKEN if one.taken else 0)
        size += len(one.message) + len(one.taken)
        if fields >= STEP_FIELDS or size >= _STEP_BYTES:
            yield step
            step, fields, size = [], 0, 0
    if step:
        yield step
