"""The transitions of schedules: what they are, and what becomes of their slots."""

from collections.abc import Sequence
from itertools import chain
from typing import Literal

import msgspec

from flower_engine.log.client import AsyncRedis, queue_command
from flower_engine.log.partition import Partition
from flower_engine.model.events.schedule_events import SetState
from flower_engine.transitions.loader import Arg, Script
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.sent_fields import LARGE, NOT_SENT, drop_sent, dropped_on_error, send_ahead

_define = Script("watcher/define_schedules")
_fire = Script("watcher/fire_slots")
_due = Script("watcher/due_schedules")
_release = Script("watcher/release_flows")
_encode = msgspec.json.Encoder().encode

MOST_PLAN_BYTES = 65_536
"""The most that Redis keeps of what a schedule's flows are made from; what is more must be read elsewhere."""
_DEFINE_AT_ONCE = 200
_FIELDS = ("v", "c", "st", "f", "h", "w", "l", "u", "n", "p", "spec", "plan")


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it is to be. ``spec`` is its specification and ``plan`` what its flows are made from
    (b"": that must be read elsewhere), both JSON. The cursor becomes at least ``least_cursor_ms``;
    ``failures``: how often in a row its flows failed, where Redis does not know."""

    uid: str
    version: int
    name: str
    state: SetState
    problem: str = ""
    spec: bytes = b"null"
    plan: bytes = b""
    least_cursor_ms: int = 0
    failures: int | None = None


Defined = Literal["new", "same", "old"]


async def define_schedules(
    client: AsyncRedis, partition: Partition, definitions: Sequence[Definition], *, again: bool = False
) -> list[Defined]:
    """Makes these definitions hold, where they are not older than what holds; ``again``: says in the log how
    schedules stand that are as they should be, too.

    Raises:
        LostError: Redis lost its state.
    """
    words: list[Defined] = []
    for first in range(0, len(definitions), _DEFINE_AT_ONCE):
        rest: list[Arg] = []
        for one in definitions[first : first + _DEFINE_AT_ONCE]:
            plan = one.plan if len(one.plan) <= MOST_PLAN_BYTES else b""
            rest += (one.uid, one.version, one.state, _encode(one.name), _encode(one.problem))
            rest += (one.spec, plan, one.least_cursor_ms, "" if one.failures is None else one.failures)
        args = _define.args(rest, generation=partition.generation, again="again" if again else "")
        reply = partition.check(await _define.run(client, partition.keys.meta, args))
        words += [word.decode() for word in reply[1:]]
    return words


class SlotDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The fate that is proposed for slots from ``first`` to ``last``, or for one, which fires: then with its
    flow, that flow's plan, and the slots before and behind it (0: there is none). ``due_ms`` is the time of
    the last of them. Of a backfill, ``reason`` is its name."""

    kind: Literal["miss", "skip", "fire"]
    first: int
    last: int
    count: int
    due_ms: int
    reason: str = ""
    detail: str = ""
    plan: FlowPlan | None = None
    flow: str = ""
    previous: int = 0
    following: int = 0


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """What is proposed for a schedule as it was found: at this version and cursor (None: slots of the past,
    for a backfill). ``next_due_ms`` is when to look at it again; None: never. ``come_ms``: the newest slot
    whose time has come."""

    uid: str
    version: int
    cursor: int | None
    overlap: str
    decisions: Sequence[SlotDecision]
    next_due_ms: int | None = None
    come_ms: int | None = None
    pause_after_failures: int | None = None

    @property
    def tasks(self) -> int:
        """How many tasks it would register."""
        return sum(one.plan.tasks for one in self.decisions if one.plan is not None)


class SlotsFired(msgspec.Struct, frozen=True):
    """What became of a proposal: so many of its decisions hold, and the cursor is there now.

    ``word``: ok; ``failed``: ok, and its flows failed so often in a row that it is to be paused; ``stale``:
    it is at another version or cursor; ``gone``; ``early``: by Redis' clock, ``detail``, the next decision's
    time has not come; ``held``: the next one waits for a flow, ``detail``; ``later``: send the rest again.
    """

    uid: str
    word: Literal["ok", "failed", "stale", "gone", "early", "held", "later", "full"]
    decided: int
    cursor: int
    detail: str


async def fire_slots(client: AsyncRedis, partition: Partition, firings: Sequence[Firing]) -> list[SlotsFired]:
    """Gives slots their fates, in one call: keep it to some 200 tasks. Of large flows, whose fields are sent
    ahead, it registers one, and the next is decided later.

    Raises:
        LostError: Redis lost its state.
    """
    numbers: dict[int, int] = {}
    plans: list[Arg] = []
    ahead: list[str] = []
    rest: list[Arg] = []
    for one in firings:
        rest += (one.uid, one.version, _or_empty(one.cursor), one.overlap)
        rest += (_or_empty(one.pause_after_failures), _or_empty(one.next_due_ms))
        rest += (_or_empty(one.come_ms), len(one.decisions))
        for decision in one.decisions:
            number: Arg = ""
            if decision.plan is not None:
                key = id(decision.plan)
                if key not in numbers:
                    numbers[key] = len(numbers) + 1
                    plan = decision.plan
                    if plan.tasks <= LARGE:
                        plans += plan.args
                    elif ahead:  # a call registers one of these: the next one brings the fields
                        plans += plan.args_without_fields(NOT_SENT)
                    else:
                        ahead = [await send_ahead(client, partition, plan.tasks, plan.fields)]
                        plans += plan.args_without_fields(ahead[0])
                number = numbers[key]
            rest += (decision.kind, decision.first, decision.last, decision.count, decision.due_ms)
            rest += (decision.reason, _encode(decision.detail), number, decision.flow)
            rest += (decision.previous, decision.following)
    args = _fire.args([*plans, *rest], generation=partition.generation, plan_count=len(numbers))
    async with dropped_on_error(client, partition, ahead):
        reply = partition.check(await _fire.run(client, partition.keys.meta, args))
    await drop_sent(client, partition, ahead)
    return [
        SlotsFired(
            one.uid,
            reply[at].decode(),
            int(reply[at + 1]),
            int(reply[at + 2]),
            reply[at + 3].decode(),
        )
        for one, at in zip(firings, range(1, len(reply), 4), strict=True)
    ]


async def release_flows(
    client: AsyncRedis, partition: Partition, flows: Sequence[tuple[str, str]]
) -> list[str]:
    """Lets schedules (uid, flow) wait no more for flows that Redis does not hold, and which nobody knows as
    open; those that one had waited for.

    Raises:
        LostError: Redis lost its state.
    """
    args = _release.args(list(chain.from_iterable(flows)), generation=partition.generation)
    reply = partition.check(await _release.run(client, partition.keys.meta, args))
    return [flow.decode() for flow in reply[1:]]


def _or_empty(value: int | None) -> Arg:
    return "" if value is None else value


class KnownSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as Redis has it. ``held``: the slot that waits for a flow;
    ``waiting``: the newest that came while a queue made one wait; ``fired_ms``: when its last flow
    was registered; ``unpaused_ms``: when a pause ended last, or ``was_problem``: what was wrong
    with it was mended. ``spec`` and ``plan``: see ``Definition``; b""
    where they were not asked for."""

    uid: str
    version: int
    cursor: int
    state: SetState
    name: str = ""
    problem: str = ""
    failures: int = 0
    held: int | None = None
    waiting: int | None = None
    fired_ms: int | None = None
    unpaused_ms: int | None = None
    was_problem: bool = False
    spec: bytes = b""
    plan: bytes = b""


async def due_schedules(
    client: AsyncRedis, partition: Partition, *, behind_ms: int, most: int
) -> tuple[int, list[tuple[str, int]], int | None]:
    """Redis' clock, ms; the schedules that were due so long ago by it, or longer, the first due first, each
    with when it was due; and in how many ms the next one will have been (None: there is none)."""
    args = _due.args(generation=partition.generation, behind_ms=behind_ms, most=most)
    reply = partition.check(await _due.run(client, partition.keys.meta, args))
    clock, next_ms, flat = int(reply[1]), int(reply[2]), reply[3]
    due = [(uid.decode(), int(float(at))) for uid, at in zip(flat[::2], flat[1::2], strict=True)]
    return clock, due, None if next_ms < 0 else next_ms


async def read_schedules(
    client: AsyncRedis, partition: Partition, uids: Sequence[str], *, with_spec: bool = True
) -> list[KnownSchedule | None]:
    """Schedules as Redis has them; None: it has none of this uid. ``with_spec`` False: without the long
    fields."""
    fields = _FIELDS if with_spec else _FIELDS[:-2]
    async with client.pipeline(transaction=False) as pipe:
        for uid in uids:
            queue_command(pipe, "HMGET", partition.keys.schedule(uid), *fields)
        found: list[list[bytes | None]] = await pipe.execute()
    return [_known(uid, values) for uid, values in zip(uids, found, strict=True)]


def _known(uid: str, values: Sequence[bytes | None]) -> KnownSchedule | None:
    version, cursor, state, failures, held, waiting, fired, unpaused, name, problem, *long = values
    if version is None or cursor is None:
        return None
    unpaused, _, was = (unpaused or b"").partition(b" ")
    return KnownSchedule(
        uid=uid,
        name=msgspec.json.decode(name or b'""', type=str),
        problem=msgspec.json.decode(problem or b'""', type=str),
        version=int(version),
        cursor=int(cursor),
        state=msgspec.convert((state or b"active").decode(), SetState),
        failures=int(failures or 0),
        held=None if held is None else int(held),
        waiting=None if waiting is None else int(waiting),
        fired_ms=None if fired is None else int(fired),
        unpaused_ms=int(unpaused) if unpaused else None,
        was_problem=was == b"problem",
        spec=(long[0] or b"") if long else b"",
        plan=(long[1] or b"") if long else b"",
    )
