"""The transition ``register``: starts flows, many in one call."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec

from flower_engine.log.client import AsyncRedis
from flower_engine.log.durability import Durability, Level
from flower_engine.log.partition import Partition
from flower_engine.model.decisions.decision_tasks import LETTERS, says_true
from flower_engine.model.definitions.definition import Keying, PlannedTask, dependents_of
from flower_engine.model.definitions.flow_parameters import FlowParameters
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.folding.kept_results import BLOB, INLINE
from flower_engine.model.maps.earlier_items import EarlierItem, earlier_text
from flower_engine.model.partitions.pins import pinned_by
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.waits.wait_parameters import DECISION
from flower_engine.transitions.data_fields import data_fields
from flower_engine.transitions.loader import Arg, Script
from flower_engine.transitions.rule_fields import Beginning, rule_flags
from flower_engine.transitions.sent_fields import call_with_fields_ahead
from flower_engine.transitions.task_fields import returns_flag, task_fields, typed_fields

_register = Script("register/register")
_encode = msgspec.json.Encoder().encode

_TOLD = (
    *("timeout_ms", "cleanup_ms", "forked_from", "taken", "blobs", "ignored", "stand_ins", "passed", "unmet"),
    "unneeded",
    *("parameters", "definition", "earlier"),
)
"""Fields of the event that are left out where there is nothing to say, in their order."""

TASKS_PER_CALL = 3_000  # keeps one call to a few milliseconds of Redis' time
WIDE_ROOTS = 500  # more roots than this are released in steps, like any wide fan-out


class FlowPlan:
    """A workflow's flows as the script wants them; encode it once, register many."""

    fields: tuple[Arg, ...] = ()
    """Name and value of each field of the flow's hash, flat."""
    _head: tuple[Arg, ...] = ()
    _told: bytes = b""

    def __init__(
        self,
        workflow: str,
        tasks: Sequence[PlannedTask],
        *,
        timeout_ms: int | None = None,
        cleanup_ms: int | None = None,
        forked_from: str = "",
        taken: Mapping[int, bytes | BlobRef] | None = None,
        ignored: Collection[int] = (),
        stand_ins: Mapping[int, bytes] | None = None,
        passed: Collection[int] = (),
        unmet: Collection[int] = (),
        earlier: Mapping[int, Sequence[EarlierItem]] | None = None,
        keying: Keying | None = None,
        parameters: Mapping[str, Any] | None = None,
        definition: str = "",
        takes: FlowParameters | None = None,
        below: frozenset[str] = frozenset(),
        pin: str | None = None,
    ) -> None:
        """A fork takes tasks over from another flow: ``taken`` with their results, or where these lie, and
        ``ignored`` ones, those of ``stand_ins`` with the results that operators gave, and ``passed`` ones,
        which rules had passed over, ``unmet`` ones decisions; what they pass over at the beginning joins
        these; and ``earlier`` are items that maps had there. ``parameters`` are those of the flow itself,
        ``definition`` the hash of the workflow's version. A plan that ``takes`` parameters is none of a flow
        yet: it must be bound first."""
        self.workflow = workflow
        self.tasks = len(tasks)
        self.planned = tuple(tasks)
        self.timeout_ms = timeout_ms
        self.cleanup_ms = cleanup_ms
        self.keying = keying or Keying()
        self.definition = definition
        self.given = parameters
        self.takes = takes
        self.pin, self.below = pin, below
        """The workflows of the flows in the tree below it."""
        self.bound: FlowPlan | None = None
        """The plan of a flow to which nothing is given, once it is known."""
        self.complete_for: int | None = None
        """For which state of what live workers serve it is known that its tasks lack nothing."""
        self.starts_something = True
        if takes is not None:
            return
        taken, stand_ins = taken or {}, stand_ins or {}
        dependents = dependents_of(tasks)
        says = {
            task.seq: says_true(taken.get(task.seq))
            for task in tasks
            if task.program == DECISION and task.seq in taken
        }
        beginning = Beginning(tasks, taken, ignored, stand_ins, passed, unmet=unmet, says=says)
        final = beginning.final
        self.starts_something = len(final) < len(tasks)
        roots = beginning.roots()
        wide = len(roots) > WIDE_ROOTS
        payloads = {seq: _payload(result) for seq, result in {**taken, **stand_ins}.items()}
        data = data_fields(tasks, final, payloads)
        fields: list[Arg] = []
        for task in tasks:
            links = data.links.get(task.seq, "")
            fields += task_fields(workflow, task, dependents[task.seq], final, links)
        for seq in taken:
            fields += (f"s{seq}", f"3{LETTERS[says.get(seq)]} 0 0 -")
        for seq in ignored:
            fields += (f"s{seq}", "9p 0 0 -" if beginning.is_ruled and seq in stand_ins else "9 0 0 -")
        for kind, seqs in (("n", beginning.passed), ("w", beginning.unmet), ("u", beginning.unneeded)):
            for seq in seqs:
                fields += (f"s{seq}", f"9{kind} 0 0 -")
        fields += beginning.fields()
        fields += data.fields
        fields += typed_fields(tasks)
        fields += [
            part for seq, items in (earlier or {}).items() for part in (f"j{seq}", earlier_text(items))
        ]
        if wide:  # each root waits for a task 0 that is already final
            fields += ("d0", ",".join(map(str, roots)))
        if timeout_ms:
            fields += ("t", timeout_ms)
        if cleanup_ms:
            fields += ("T", cleanup_ms)
        timed = any(task.timeout_ms or task.queue_timeout_ms or task.retry for task in tasks)
        self._told = self._tail(
            tasks=tasks,
            timeout_ms=timeout_ms,
            cleanup_ms=cleanup_ms,
            forked_from=forked_from,
            taken={seq: result for seq, result in taken.items() if isinstance(result, bytes)},
            blobs={seq: result for seq, result in taken.items() if isinstance(result, BlobRef)},
            ignored=sorted(ignored),
            stand_ins=stand_ins,
            passed=sorted(beginning.passed),
            unmet=sorted(beginning.unmet),
            unneeded=sorted(beginning.unneeded),
            parameters=parameters,
            definition=definition,
            earlier=earlier,
        )
        args: list[Arg] = [
            len(tasks) - len(final),
            len(final),
            ("p" if timed or timeout_ms else "") + rule_flags(tasks) + returns_flag(tasks) + data.flag,
            timeout_ms or 0,
            workflow,
            self._told,
            lane_of(workflow, tasks[0]),
            int(wide),
            0 if wide else len(roots),
        ]
        for root in () if wide else roots:
            args += (root, lane_of(workflow, tasks[root - 1]))
        self._head, self.fields = tuple(args), tuple(fields)

    def with_tasks(self, tasks: Sequence[PlannedTask], parameters: Mapping[str, Any] | None) -> "FlowPlan":
        """The plan of a flow with these tasks, to which these parameters are given; the rest is what this one
        says."""
        return FlowPlan(
            self.workflow,
            tasks,
            timeout_ms=self.timeout_ms,
            cleanup_ms=self.cleanup_ms,
            keying=self.keying,
            definition=self.definition,
            parameters=parameters,
            pin=self.pin,
        )

    @property
    def args(self) -> tuple[Arg, ...]:
        """What the script is given."""
        return (*self._head, len(self.fields), *self.fields)

    def args_without_fields(self, sent: str) -> tuple[Arg, ...]:
        """The same where the fields were sent ahead, and have this name."""
        return (*self._head, f"{2 * len(set(self.fields[::2]))} {sent}")

    @cached_property
    def pinned_by(self) -> set[str]:
        """What says in which partition a flow lies; empty: it may lie anywhere."""
        return pinned_by(self.pin, self.workflow, (task.workflow_key for task in self.planned))

    def registered(self, flow: str) -> FlowRegistered:
        """The event with which a flow of this plan begins, as far as the plan says it."""
        head = {"type": "flow.registered", "at": 0, "flow": flow, "v": 1, "order": 0}
        said = _encode(head)[:-1] + self._told + b"}"
        return msgspec.json.decode(said, type=FlowRegistered)

    def _tail(self, taken: Mapping[int, bytes], stand_ins: Mapping[int, bytes], **given: Any) -> bytes:
        """The event's fields from the workflow on, without the closing brace, as far as they say anything."""
        fields: dict[str, Any] = {"workflow": self.workflow, "tasks": given.pop("tasks")}
        given["taken"] = {seq: msgspec.Raw(result) for seq, result in taken.items()}
        given["stand_ins"] = {seq: msgspec.Raw(result) for seq, result in stand_ins.items()}
        fields |= {name: given[name] for name in _TOLD if given[name]}
        return b"," + spelled_out(_encode(fields))[1:-1]


def _payload(result: bytes | BlobRef) -> bytes:
    return INLINE + result if isinstance(result, bytes) else BLOB + _encode(result)


class Start(msgspec.Struct, frozen=True):
    """A flow to register. ``start_ms`` is the time, by Redis' clock, before which nothing of it starts;
    ``delay_ms`` the same counted from the registration. ``key`` is its idempotency key, ``traceparent`` the
    span for which it is asked for."""

    flow: str
    plan: FlowPlan
    by: str = ""
    key: str = ""
    start_ms: int | None = None
    delay_ms: int = 0
    traceparent: str = ""


class Registered(msgspec.Struct, frozen=True):
    """What became of a Start: ``ok``, ``duplicate`` (it is or was registered already: as good), or nothing
    new was registered: ``known``: its key belongs to this flow, of this workflow; ``full``: as many flows of
    its workflow are under way as may be (``most``), and its limit says reject; ``skipped``: or it says skip,
    because of ``flow``. ``durability``: what holds of it; None: nothing was registered now."""

    word: Literal["ok", "duplicate", "known", "full", "skipped"]
    flow: str
    workflow: str
    most: int = 0
    durability: Durability | None = None


def partition_of_key(key: str, partitions: int) -> int:
    """The partition (0..partitions - 1) where flows of an idempotency key live: a CRC-32 of its UTF-8."""
    return zlib.crc32(key.encode()) % partitions


async def register(
    client: AsyncRedis, partition: Partition, starts: Sequence[Start], level: Level | None = None
) -> list[Registered]:
    """Registers flows in order; splits very large calls. Waits once, for all of them, until ``level`` holds.

    Raises:
        LostError: Redis lost its state. Flows of earlier parts of a split call stay registered.
    """
    level = level or Level()
    registered: list[Registered] = []
    first = 0
    while first < len(starts):
        last, tasks = first, 0
        while last < len(starts) and (last == first or tasks + starts[last].plan.tasks <= TASKS_PER_CALL):
            tasks += starts[last].plan.tasks
            last += 1
        part = starts[first:last]
        commands = level.commands(partition.keys) if last == len(starts) else []
        words, more = await _send(client, partition, part, commands)
        registered += [_registered(start, word.decode()) for start, word in zip(part, words, strict=True)]
        first = last
        if last == len(starts):
            held = level.held(more)
            registered = [
                msgspec.structs.replace(one, durability=held) if one.word in ("ok", "duplicate") else one
                for one in registered
            ]
    return registered


async def _send(
    client: AsyncRedis, partition: Partition, part: Sequence[Start], commands: Sequence[Sequence[str | int]]
) -> tuple[list[bytes], list[Any]]:
    """A word for each, and the replies to the commands behind the call."""
    more: list[Any] = []

    async def call(ahead: str) -> list[bytes]:
        nonlocal more
        sent = (client, partition.keys.meta, _args(partition, part, ahead))
        reply, *more = await _register.run_then(*sent, commands) if commands else [await _register.run(*sent)]
        return partition.check(reply)[1:]

    if len(part) > 1:
        words = await call("")
    else:
        words = await call_with_fields_ahead(client, partition, part[0].plan, call, taken=b"ok")
    return words, more


def _registered(start: Start, word: str) -> Registered:
    if word == "ok":
        return Registered("ok", start.flow, start.plan.workflow)
    if word == "duplicate":
        return Registered("duplicate", start.flow, start.plan.workflow)
    if word.startswith("full "):
        return Registered("full", start.flow, start.plan.workflow, int(word.split(" ")[1]))
    if word.startswith("skipped "):
        return Registered("skipped", word.split(" ")[1], start.plan.workflow)
    _, flow, workflow = word.split(" ", 2)
    return Registered("known", flow, workflow)


def _args(partition: Partition, starts: Sequence[Start], ahead: str) -> list[Arg]:
    """``ahead``: the name of the fields of the only one, where they were sent ahead."""
    numbers: dict[int, int] = {}
    plans: list[Arg] = []
    entries: list[Arg] = []
    for start in starts:
        plan = start.plan
        number = numbers.get(id(plan))
        if number is None:
            number = numbers[id(plan)] = len(numbers) + 1
            plans += plan.args_without_fields(ahead) if ahead else plan.args
        entries += (start.flow, number, start.key, _when(start), _extra(start))
    return _register.args([*plans, *entries], generation=partition.generation, plan_count=len(numbers))


def _when(start: Start) -> Arg:
    if start.start_ms is not None:
        return start.start_ms
    return f"+{start.delay_ms}" if start.delay_ms else ""


def _extra(start: Start) -> bytes:
    """The fields of the event that belong to this registration alone."""
    extra = b"" if not start.by else b',"by":' + _encode(start.by)
    if start.key:
        extra += b',"key":' + _encode(start.key)
    return extra if not start.traceparent else extra + b',"traceparent":' + _encode(start.traceparent)
