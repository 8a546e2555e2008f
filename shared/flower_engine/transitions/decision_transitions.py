"""The transitions of whoever decides: which decisions and maps there are, and what they came to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.map_chains import is_aligned
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.maps.earlier_items import EarlierItem, read_earlier
from flower_engine.model.maps.map_expansion import Follower
from flower_engine.transitions.expansion_segments import Segment, SentItem
from flower_engine.transitions.loader import Script
from flower_engine.transitions.task_fields import decode_message

_decisions = Script("worker/decisions")
_decide = Script("worker/decide")
_expand = Script("worker/expand")
_encode = msgspec.json.Encoder().encode
MOST_DECISIONS = 20
_NO_RESULT = b"-"
_GIVEN_UP = b"2x"
_LETTERS = {True: "t", False: "f", None: "x", "gathered": "m", "stored": "b", "returned": "r"}


class Expanded(NamedTuple):
    """What came of a step; see ``lua/worker/expand.lua``. ``first``, of "anew": the number that the first
    item is to have."""

    word: Literal["ok", "more", "stale", "busy", "anew", "many"]
    first: int = 0


class MapRead(msgspec.Struct, frozen=True):
    """A map as Redis has it: its lane, the policy of its items, the numbers of those that it has, and the
    payloads of their results, in their order; how many of them were given up. ``ends`` and ``reasons``, of a
    map that tells what became of its items: how each without a result has ended, "9" or "2x" for example, and
    why it was given up, as JSON text (empty: it was not); and ``keys`` those of its items, if it goes along
    another map, which says them. ``followers``, of a map without items: those that may go along it;
    ``earlier``: the items that it had, if it is matched with them; ``first``: the number that its first item
    would have now."""

    lane: str
    policy: str
    items: range
    payloads: Sequence[bytes] = ()
    given_up: int = 0
    ends: Sequence[bytes] = ()
    reasons: Sequence[bytes] = ()
    keys: Sequence[str] = ()
    followers: Sequence[Follower] = ()
    earlier: tuple[EarlierItem, ...] = ()
    first: int = 0


class Undecided(msgspec.Struct, frozen=True):
    """A decision to be made, or a map to be expanded or gathered. ``message`` is a TaskMessage; ``inputs``
    the payloads of what it reads, by ``<flow>:<task>`` (see ``kept_results``)."""

    member: bytes
    attempt: int
    message: bytes
    inputs: Mapping[bytes, bytes]
    of_map: MapRead | None = None

    def input(self, task: int) -> bytes:
        """What a task of its flow has."""
        return self.inputs.get(b"%b%d" % (self.member[:37], task), b"-")

    @property
    def of(self) -> tuple[str, int]:
        """Its flow, and its number."""
        return self.member[:36].decode(), int(self.member[37:])

    def __str__(self) -> str:
        return f"flow {self.member[:36].decode()} task {self.member[37:].decode()}"


async def due_decisions(
    client: AsyncRedis, partition: Partition, *, least_ms: int = 0, most: int = MOST_DECISIONS
) -> list[Undecided]:
    """Decisions that nobody has made within ``least_ms`` since they were given to somebody, or began. What
    the items of a large map have come to is read in pages, so that nothing keeps Redis for long.

    Raises:
        LostError: Redis lost its state.
    """
    args = _decisions.args(generation=partition.generation, least_ms=least_ms, most=most)
    flat: list[Any] = partition.check(await _decisions.run(client, partition.keys.meta, args))[1]
    found: list[Undecided] = []
    for member, attempt, message, results, of_map in zip(*[iter(flat)] * 5, strict=True):
        inputs = dict(zip(results[::2], results[1::2], strict=True))
        one = Undecided(member, int(attempt), message, inputs, _of_map(of_map))
        whole = await _with_items(client, partition, one, int(of_map[3])) if of_map else one
        found += [] if whole is None else [whole]
    return found


def _of_map(found: Sequence[Any]) -> MapRead | None:
    if not found:
        return None
    lane, policy, items = (one.decode() for one in found[:3])
    first, count, *_ = map(int, items.split()) if items else (0, 0)
    followers = [
        Follower(
            int(task),
            int(over),
            decode_message(message),
            of_lane.decode(),
            of_policy.decode(),
            message,
            read_earlier(earlier),
        )
        for task, over, message, of_lane, of_policy, earlier in zip(*[iter(found[5])] * 6, strict=True)
    ]
    return MapRead(
        lane,
        policy,
        range(first, first + count),
        given_up=int(found[4]),
        followers=followers,
        earlier=read_earlier(found[6]),
        first=int(found[7]),
    )


async def _with_items(
    client: AsyncRedis, partition: Partition, one: Undecided, page: int
) -> Undecided | None:
    """With what the items of its map have come to, read so many at a time; None: its flow is gone."""
    assert one.of_map is not None
    items, tells_ends = one.of_map.items, b'"outcomes":true' in one.message
    payloads: list[bytes] = []
    ends: list[bytes] = []
    reasons: list[bytes] = []
    keys: list[str] = []
    tells_keys = tells_ends and is_aligned(decode_message(one.message).parameters)
    for at in range(0, len(items), max(1, page)):
        numbers = items[at : at + page]
        results = await _fields(client, partition, one, (f"r{item}" for item in numbers))
        payloads += [result or _NO_RESULT for result in results]
        if not tells_ends:
            continue
        if tells_keys:
            messages = await _fields(client, partition, one, (f"m{item}" for item in numbers))
            found = [decode_message(message).item_key for message in messages if message]
            keys += found
            tells_keys = any(found)  # either all items have one, or none has
        without = [item for item, result in zip(numbers, results, strict=True) if not result]
        names = (f"{name}{item}" for item in without for name in "sz")
        states = await _fields(client, partition, one, names)
        if None in states[::2]:
            return None
        how = dict(zip(without, zip(states[::2], states[1::2], strict=True), strict=True))
        for item in numbers:
            state, reason = how.get(item, (b"", b""))
            end = (state or b"").split(b" ")[0]
            ends.append(end)
            reasons.append((reason or b"") if end == _GIVEN_UP else b"")
    whole = msgspec.structs.replace(one.of_map, payloads=payloads, ends=ends, reasons=reasons, keys=keys)
    return msgspec.structs.replace(one, of_map=whole)


async def _fields(
    client: AsyncRedis, partition: Partition, one: Undecided, names: Iterable[str]
) -> list[bytes | None]:
    wanted = list(names)
    found: list[bytes | None] = []
    if wanted:
        found = await send(client, "HMGET", partition.keys.flow(one.of[0]), *wanted)
    return found


async def expand(
    client: AsyncRedis,
    partition: Partition,
    one: Undecided,
    *,
    by: str,
    name: str,
    items: Sequence[SentItem],
    first: int,
    before: int,
    segment: Segment,
    most_tasks: int,
) -> Expanded:
    """Sends some items of an expansion, which are of this ``segment``; ``first``: the number that the first
    of all is to have, ``before``: how many were sent. ``name`` is that of this expansion.

    Raises:
        LostError: Redis lost its state.
    """
    assert one.of_map is not None
    expansion = segment.expansion
    is_last = before + len(items) == expansion.total
    fields, ruled = segment.fields(items, first, before)
    args = _expand.args(
        (len(ruled), *fields, *ruled),
        generation=partition.generation,
        by=_encode(by),
        member=one.member,
        wanted=one.attempt,
        name=name,
        lane=one.of_map.lane,
        counts=f"{len(expansion.given.values)} {expansion.total} {len(items)}",
        head=first,
        before=before,
        told=expansion.told if is_last else b"",
        maps=segment.told if is_last else b"",
        most=most_tasks,
    )
    reply = partition.check(await _expand.run(client, partition.keys.meta, args))
    return Expanded(reply[0].decode(), int(reply[1]) if len(reply) > 1 else 0)


async def decide(
    client: AsyncRedis, partition: Partition, by: str, decided: Sequence[tuple[Undecided, Decided]]
) -> list[str]:
    """Hands in what decisions came to; a word for each: ``ok``, or ``stale``: somebody else was first, or it
    is not to be made any more.

    Raises:
        LostError: Redis lost its state.
    """
    args = _decide.args(generation=partition.generation, by=_encode(by))
    for one, outcome in decided:
        args += (one.member, one.attempt, _LETTERS[outcome.says], outcome.payload)
    reply = partition.check(await _decide.run(client, partition.keys.meta, args))
    return [word.decode() for word in reply[1]]
