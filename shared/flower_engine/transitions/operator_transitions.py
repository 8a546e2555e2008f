"""The transitions that operators ask for: rerun, ignore, unignore, cancel, pause, resume, answer.

Each is one atomic script, safe to send twice: a call carries an ``operation`` id (that of the caller, or one
of its own), and the same id again gets the version it led to. A flow that has ended is put back first, if its
state is given (``restored``).
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from flower_engine.errors import (
    HeldForChildrenError,
    MovedError,
    NeedsEarlierError,
    NeedsResultsError,
    NotUnderWayError,
    PrunedError,
    RefusedError,
)
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import PlannedTask, TaskKeys
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.flow_control.lanes import key_parts, lane_of
from flower_engine.model.folding.kept_results import reads_of, reads_text
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.values.noun_counts import tasks_in_words
from flower_engine.model.waits.wait_programs import wait_text
from flower_engine.transitions.loader import Arg, Script
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.task_fields import decode_message, encoded_parameters, task_message
from flower_engine.transitions.task_runs import runs_of, tasks_of

_rerun = Script("operator/rerun")
_ignore = Script("operator/ignore")
_unignore = Script("operator/unignore")
_cancel = Script("operator/cancel")
_pause = Script("operator/pause")
_resume = Script("operator/resume")
_prioritise = Script("operator/prioritise")
_answer = Script("operator/answer")
_encode = msgspec.json.Encoder().encode

Scope = Literal["", "only", "dependents", "changed"]
"""What runs again besides the selected tasks: "" what read a result that goes, and refused where another
dependent would keep a result that followed from the old ones; "only" nothing, whatever dependents have;
"dependents" all behind them; "changed" what read a result that goes, and other dependents stay as they are:
maps that are expanded anew keep what the same items came to before."""

OfChildren = Literal["anew", "ask", "leave", "keep"]
"""What becomes of the children of tasks that run again: "anew" another one begins; "ask" refused where a task
is held because of its child (``HeldForChildrenError``), else the same; "leave" such tasks stay as they are;
"keep" the one task, which is final, awaits the child that it had."""

_OF_CHILDREN: Mapping[OfChildren, str] = {"anew": "", "ask": "?", "leave": "-", "keep": "^"}

Results = Mapping[int, tuple[int, bytes]]
"""Results that an operation needs and that Redis keeps no more: by task the attempt that gave it, and its
payload as in ``kept_results``."""

Earlier = Mapping[int, tuple[str, bytes]]
"""The items that maps had: by map what they follow from, as ``lua/lib/matched_maps.lua`` has it, and their
text (``earlier_items.py``)."""


REMEMBERED_SECONDS = 3600  # as lua/lib/operation.lua has it


class Body(msgspec.Struct, frozen=True):
    """A task as it is, and as it is to be, as ``lua/lib/bodies.lua`` takes it: message and lane as they are;
    then new message (b"": the task stays as it is), lane, policy, what it reads, rules, all of it, and what
    it waits for of the world."""

    message: bytes
    lane: str
    new_message: bytes = b""
    new_lane: str = ""
    policy: str = ""
    reads: str = ""
    rules: bytes = b""
    whole: bytes = b""
    wait: str = ""

    @classmethod
    def of(cls, workflow: str, now: PlannedTask, message: bytes, new: PlannedTask | None) -> "Body":
        """``new`` None: it stays as it is."""
        lane = lane_of(workflow, now)
        if new is None:
            return cls(message, lane)
        policy, rules = TaskPolicy.of(new), TaskRules.of(new)
        return cls(
            message,
            lane,
            task_message(workflow, new),
            lane_of(workflow, new),
            policy.text() if policy else "",
            reads_text(reads_of(new)),
            rules.text() if rules else b"",
            spelled_out(_encode(new)),
            wait_text(new),
        )

    @property
    def planned(self) -> PlannedTask:
        """All of it, as the event has it; of one that is to be another."""
        return msgspec.json.decode(self.whole, type=PlannedTask)


class Operated(msgspec.Struct, frozen=True):
    """What an operation did: the flow's version after it and the tasks concerned (none are told where the
    reply to a first sending was lost)."""

    version: int
    tasks: tuple[int, ...]


async def rerun(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    *,
    by: str,
    selection: Sequence[int] | Literal["failed", "all"],
    scope: Scope = "",
    keep_answers: bool = False,
    children: OfChildren = "anew",
    messages: Mapping[int, tuple[bytes, bytes]] | None = None,
    keys: Mapping[int, TaskKeys] | None = None,
    bodies: Mapping[int, Body] | None = None,
    results: Results | None = None,
    earlier: Earlier | None = None,
    version: int | None = None,
    restored: Restored | None = None,
    operation: str = "",
) -> Operated:
    """Tasks run again from the start, their attempts counting on.

    ``keep_answers``: waits that have ended and are not selected keep what came of them. ``selection``
    "failed" is every task in Suspend, and of a cancelled flow what the cancel cut off. ``messages`` gives
    selected tasks new ones: (the message as it is, the new one), see ``with_parameters``; ``keys`` says by
    which keys these tasks wait and are counted from then on (absent: as they did). ``bodies`` gives every
    task that may run again that of another version, and no other messages then. ``results`` gives those that
    it needed when it was sent before, ``earlier`` the items of maps that it needed then.

    Raises:
        NeedsResultsError: what runs again reads results that are kept no more: send it again with them.
        NeedsEarlierError: maps are to be matched with the items that they had: the same.
        HeldForChildrenError: see ``children``.
        ParametersError: what a task is to wait for makes no sense.
        RefusedError: a selected task is running or waits already, a dependent runs or would keep a result of
            the old run, or nothing is selected.
        MovedError, NotUnderWayError, LostError: as for every operation.
    """
    lists: list[Arg] = []
    for task, (now, new) in (messages or {}).items():
        its_keys = (keys or {}).get(task)
        lists += (task, now, new, encoded_parameters(new))
        lists += ("", "", "", "") if its_keys is None else (_encode(its_keys), *key_parts(its_keys))
        message = decode_message(new)
        lists += (reads_text(reads_of(message)), wait_text(message))
    for task, body in (bodies or {}).items():
        lists += (task, *msgspec.structs.astuple(body))
    lists += _results(results)
    for task, (stamp, text) in (earlier or {}).items():
        lists += (task, stamp, text)
    if isinstance(selection, str):
        lists.append(selection)
        if selection == "failed" and restored is not None:
            lists += restored.cut_off
    else:
        lists += ("tasks", *selection)
    call = _Call(client, partition, flow, by, version, operation, restored)
    counts = f"{len(messages or ())} {len(bodies or ())} {len(results or ())} {len(earlier or ())}"
    said = f"{scope}{'+' if keep_answers else ''}{_OF_CHILDREN[children]}"
    return await _operate(_rerun, call, lists, scope=said, counts=counts)


async def ignore(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    *,
    by: str,
    tasks: Sequence[int],
    reason: str = "",
    result: bytes = b"",
    version: int | None = None,
    operation: str = "",
) -> Operated:
    """Passes over waiting, retrying or suspended tasks; what depends on them goes on. ``result``: the JSON
    that stands in for their results, for those that read them (b"": none does).

    Raises:
        RefusedError: a task is running or final, or another needs its result and no other is given.
        MovedError, NotUnderWayError, LostError: as for every operation.
    """
    return await _operate(
        _ignore,
        _Call(client, partition, flow, by, version, operation),
        reason=_encode(reason),
        result=result,
        tasks=runs_of(tasks),
    )


async def unignore(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    *,
    by: str,
    tasks: Sequence[int],
    results: Results | None = None,
    version: int | None = None,
    restored: Restored | None = None,
    operation: str = "",
) -> Operated:
    """Ignored tasks wait again, unless something that depends on them has started. ``results`` as for a
    rerun.

    Raises:
        NeedsResultsError: as for a rerun.
        RefusedError: a task is not ignored, or a dependent has started.
        MovedError, NotUnderWayError, LostError: as for every operation.
    """
    call = _Call(client, partition, flow, by, version, operation, restored)
    return await _operate(_unignore, call, (*_results(results), *tasks), results=len(results or ()))


async def cancel(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    *,
    by: str,
    reason: str = "",
    version: int | None = None,
    operation: str = "",
) -> Operated:
    """Ends the flow: everything not final becomes Ignore, running attempts lose their leases. What cleans up
    is spared, and runs, unless the flow is ending already.

    Raises:
        MovedError, NotUnderWayError, LostError: as for every operation.
    """
    return await _operate(
        _cancel, _Call(client, partition, flow, by, version, operation), reason=_encode(reason)
    )


async def pause(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    *,
    by: str,
    reason: str = "",
    version: int | None = None,
    operation: str = "",
) -> Operated:
    """Nothing of the flow starts any more; what runs may end. As good if it is paused already.

    Raises:
        MovedError, NotUnderWayError, LostError: as for every operation.
    """
    return await _operate(
        _pause, _Call(client, partition, flow, by, version, operation), reason=_encode(reason)
    )


async def resume(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    *,
    by: str,
    version: int | None = None,
    operation: str = "",
) -> Operated:
    """Lifts a pause.

    Raises:
        RefusedError: the flow is not paused.
        MovedError, NotUnderWayError, LostError: as for every operation.
    """
    return await _operate(_resume, _Call(client, partition, flow, by, version, operation))


async def prioritise(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    *,
    by: str,
    priority: int,
    version: int | None = None,
    operation: str = "",
) -> Operated:
    """All tasks of the flow have this priority (-20..19); what is ready moves to its lanes.

    Raises:
        MovedError, NotUnderWayError, LostError: as for every operation.
    """
    return await _operate(
        _prioritise, _Call(client, partition, flow, by, version, operation), priority=priority
    )


async def done_before(client: AsyncRedis, partition: Partition, operation: str) -> Operated | None:
    """What the operation of this id did, if it was done within the last hour; "" is none."""
    version = await send(client, "GET", partition.keys.op(operation)) if operation else None
    return None if version is None else Operated(int(version), ())


async def remember(client: AsyncRedis, partition: Partition, operation: str, version: int) -> None:
    """An operation of several transitions is done: the same id again does nothing."""
    await send(client, "SET", partition.keys.op(operation), version, "EX", REMEMBERED_SECONDS)


async def read_messages(
    client: AsyncRedis, partition: Partition, flow: str, tasks: Sequence[int]
) -> dict[int, bytes] | None:
    """The messages of these tasks; None if the flow is not under way."""
    key = partition.keys.flow(flow)
    found: list[bytes | None] = await send(client, "HMGET", key, "c", *(f"m{task}" for task in tasks))
    if found[0] is None:
        return None
    return {task: message for task, message in zip(tasks, found[1:], strict=True) if message is not None}


async def answer(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    *,
    by: str,
    task: int,
    answer: bytes,
    is_no: bool = False,
    attempt: int | None = None,
    version: int | None = None,
    operation: str = "",
) -> Operated:
    """Somebody answers an approval. ``answer`` is JSON; one that says no ends it, whoever else is asked.
    ``attempt``: the one in which it was asked (None: any).

    Returns the task, if this was the last answer that it needed.

    Raises:
        RefusedError: the task awaits no answer, or not in this attempt, or has one of this name.
        MovedError, NotUnderWayError, LostError: as for every operation.
    """
    call = _Call(client, partition, flow, by, version, operation)
    asked: Arg = "" if attempt is None else attempt
    return await _operate(_answer, call, task=task, attempt=asked, answer=answer, is_no=int(is_no))


def _results(results: Results | None) -> list[Arg]:
    return [part for task, (attempt, payload) in (results or {}).items() for part in (task, attempt, payload)]


class _Call(NamedTuple):
    """What every operation is called with."""

    client: AsyncRedis
    partition: Partition
    flow: str
    by: str
    version: int | None
    operation: str
    restored: Restored | None = None


async def _operate(script: Script, call: _Call, lists: Sequence[Arg] = (), **own: Arg) -> Operated:
    """``own``: arguments of this operation alone; ``lists``: those behind the fields of a restored flow."""
    client, partition, flow, by, version, operation, restored = call
    fields = restored.fields if restored else ()
    args = script.args(
        (*fields, *lists),
        generation=partition.generation,
        operation=operation or uuid.uuid4().hex,
        id=flow,
        by=_encode(by),
        version="" if version is None else version,
        restored=f"{restored.version} {restored.position} {restored.ended_ms} {len(fields)}"
        if restored
        else "",
        **own,
    )
    reply = partition.check(await script.run(client, partition.keys.meta, args))
    word, *rest = (part.decode() for part in reply)
    match word:
        case "ok":
            return Operated(int(rest[0]), tasks_of(rest[1]) if len(rest) > 1 else ())
        case "needs":
            raise NeedsResultsError(flow, tuple(int(task) for task in rest))
        case "earlier":
            raise NeedsEarlierError(flow, tuple(int(task) for task in rest))
        case "children":
            pairs = zip(rest[::2], rest[1::2], strict=True)
            raise HeldForChildrenError(flow, {int(task): int(attempt) for task, attempt in pairs})
        case "pruned":
            raise PrunedError(flow, int(rest[0]))
        case "absent":
            raise NotUnderWayError(f"flow {flow} is not under way", rest[0])
        case "moved":
            raise MovedError(
                f"flow {flow} has moved on: it is at version {rest[0]} now. Look at it again, then decide",
                "moved",
            )
        case _:
            raise refusal(flow, *rest)


def refusal(flow: str, reason: str, *words: str) -> RefusedError:
    """Why an operation is refused: the reason, and what its sentence takes."""
    readers = tasks_in_words(words[1].split(", ")) if reason == "needed" else ""
    return RefusedError(f"flow {flow}: {_REASONS[reason].format(*words, readers=readers)}", reason)


_REASONS = {
    "not-awaited": "it is a child and has ended, and task {1} of flow {0}, its parent, does not await it any"
    " more: rerun it with up, which opens that task and what follows from it again, or rerun that task, which"
    " begins another child",
    "not-last-child": "it is the child of an earlier attempt of task {1} of flow {0}, its parent, which has"
    " had another child since: rerun that one, or the task",
    "no-parent": "it is nobody's child: there is no task above it to be opened again",
    "unknown": "it has no task {0}",
    "running": "task {0} is running; wait for its end, or cancel the flow, then rerun",
    "vanished": (
        "task {0} is of an earlier list of its map, which was expanded anew since: rerun an item that it has"
        " now"
    ),
    "waits": "task {0} waits already; there is nothing to rerun",
    "dependent-running": (
        "task {1} depends on task {0} and is running on its result; wait for its end, or cancel the flow"
    ),
    "dependent-started": (
        "task {1} depends on task {0} and has started on its result, which would change; rerun what depends"
        ' on it, too (scope "dependents"), or leave those results as they are (scope "only")'
    ),
    "nothing": "nothing matches the selection {0!r}; there is nothing to rerun",
    "ignore-running": "task {0} is running; wait for its end, or cancel the flow",
    "final": "task {0} is {1} already; only a waiting, retrying or suspended task can be ignored",
    "needed": (
        "the result of task {0} is needed by {readers}: give one that stands in for it (result), or ignore"
        " what needs it, too"
    ),
    "not-ignored": "task {0} is not ignored",
    "not-taken": "the rule of task {0} passes over it because of task {1}: rerun that, or what is before it",
    "unneeded": (
        "task {0} leads only to what goes on without it: task {1} has enough, and cancels the others, as its"
        " rule says; rerun what it went on with, too"
    ),
    "unignore-started": (
        "task {1} depends on task {0} and has gone on without it; rerun task {0} and what depends on it"
    ),
    "outdated": "task {0} was changed at the same moment; look at it again, then decide",
    "not-paused": "it is not paused",
    "ending": (
        "it is ending, and task {0} is none of its cleanup: wait until that is over, or cancel it again,"
        " which ends it now"
    ),
    "no-approval": "task {0} is no approval: nobody can answer it",
    "not-awaiting": "task {0} awaits no answer: it was answered already, or is not asked yet",
    "asked-anew": "task {0} was asked anew (attempt {1}, the answer is to attempt {2}); look at it again",
    "answered": "task {0} has an answer of this name already; it needs those of others, too",
    "too-large": (
        "what the items of its maps came to before is {0} bytes, and {1} may be to be matched with those that"
        ' they get: rerun them all (another scope than "changed"), or have large results stored as blobs'
    ),
    "changed": "the parameters of task {0} were changed at the same moment; look at it again, then decide",
}
