"""The transitions of trees of flows: what is to be done for them, and children that begin."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.transitions.loader import Arg, Script
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.sent_fields import call_with_fields_ahead

_tree = Script("watcher/tree")
_begin_children = Script("watcher/begin_children")
MOST_LOOKED_AT = 200
_TASKS_PER_CALL = 240  # of children that begin: while a call lasts nobody else is served
_OF_A_CHILD = 2  # as many tasks does it take to begin a child beside its own
TREE_BELL = "flow"
"""The name of the bell that rings when there is something to do."""


class DueChild(msgspec.Struct, frozen=True):
    """A task that awaits a child which is to begin. ``message`` is a TaskMessage, ``lane`` the name of the
    task's lane, ``inputs`` the payloads of what it reads, by ``<flow>:<task>`` (see ``kept_results``);
    ``is_in_doubt``: that child may have begun and ended already."""

    member: bytes
    attempt: int
    is_in_doubt: bool
    lane: str
    message: bytes
    inputs: Mapping[bytes, bytes]

    @property
    def flow(self) -> str:
        """The flow of the task."""
        return self.member[:36].decode()

    @property
    def task(self) -> int:
        """The number of the task."""
        return int(self.member[37:])

    def input(self, task: int) -> bytes:
        """What a task of its flow has."""
        return self.inputs.get(b"%b%d" % (self.member[:37], task), b"-")


class Begun(NamedTuple):
    """What became of a due child: it begins, by this plan; it had ended, and returned this (JSON), or what is
    stored there (JSON of a BlobRef), or asked for another round (by when it begins, 0: at once, and the JSON
    of what that is given); or it cannot begin, because of this error (JSON)."""

    says: Literal["begins", "returned", "stored", "again", "cannot"]
    plan: FlowPlan | None = None
    payload: bytes = b""


_WORDS = {"begins": "p", "returned": "r", "stored": "b", "again": "a", "cannot": "x"}


async def look_at_trees(
    client: AsyncRedis, partition: Partition, most: int = MOST_LOOKED_AT
) -> tuple[bool, list[DueChild]]:
    """Lets children follow their parents, as far as one call does; whether there is more to look at now, and
    which children are to begin.

    Raises:
        LostError: Redis lost its state.
    """
    args = _tree.args(generation=partition.generation, most=most)
    _, more, flat = partition.check(await _tree.run(client, partition.keys.meta, args))
    due = [_due(flat[at : at + 6]) for at in range(0, len(flat), 6)]
    return more == b"1", due


def _due(flat: list[Any]) -> DueChild:
    member, attempt, doubt, lane, message, results = flat
    inputs = dict(zip(results[::2], results[1::2], strict=True))
    return DueChild(member, int(attempt), doubt != b"", lane.decode(), message, inputs)


async def begin_children(
    client: AsyncRedis, partition: Partition, begun: Sequence[tuple[DueChild, Begun]]
) -> list[str]:
    """Hands in what became of due children; a word for each: ``ok``, or ``stale``: its task does not await it
    now, or somebody else was first.

    Raises:
        LostError: Redis lost its state.
    """
    words: list[str] = []
    first = 0
    while first < len(begun):
        last, tasks = first, 0
        while last < len(begun) and (last == first or tasks + _tasks(begun[last]) <= _TASKS_PER_CALL):
            tasks += _tasks(begun[last])
            last += 1
        words += [word.decode() for word in await _send(client, partition, begun[first:last])]
        first = last
    return words


async def _send(
    client: AsyncRedis, partition: Partition, begun: Sequence[tuple[DueChild, Begun]]
) -> list[bytes]:
    async def call(ahead: str) -> list[bytes]:
        args = _args(partition, begun, ahead)
        return partition.check(await _begin_children.run(client, partition.keys.meta, args))[1:]

    plan = begun[0][1].plan
    if plan is None or len(begun) > 1:
        return await call("")
    return await call_with_fields_ahead(client, partition, plan, call)


def _tasks(one: tuple[DueChild, Begun]) -> int:
    plan = one[1].plan
    return 1 if plan is None else plan.tasks + _OF_A_CHILD


def _args(partition: Partition, begun: Sequence[tuple[DueChild, Begun]], ahead: str) -> list[Arg]:
    """``ahead``: the name of the fields of the only one's plan, where they were sent ahead."""
    numbers: dict[int, int] = {}
    plans: list[Arg] = []
    entries: list[Arg] = []
    for due, what in begun:
        payload: Arg = what.payload
        if what.plan is not None:
            number = numbers.get(id(what.plan))
            if number is None:
                number = numbers[id(what.plan)] = len(numbers) + 1
                plans += what.plan.args_without_fields(ahead) if ahead else what.plan.args
            payload = number
        entries += (due.member, due.attempt, due.lane, _WORDS[what.says], payload, b',"by":"parent"')
    return _begin_children.args([*plans, *entries], generation=partition.generation, plan_count=len(numbers))


async def wait_for_trees(client: AsyncRedis, partition: Partition, timeout_seconds: float) -> bool:
    """Waits until something may be to do for trees; True when a bell rang."""
    bell = partition.keys.bell("", TREE_BELL)
    return await send(client, "BLPOP", bell, timeout_seconds) is not None
