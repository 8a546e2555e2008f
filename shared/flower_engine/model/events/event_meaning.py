"""What each event means: which tasks it moves from where to where, which facts it sets, and which it forgets.

Said here once. The fold, the projection, the list of attempts and the invariants of timers walk this table;
the Lua scripts, which write the events, say it by themselves and are compared with the fold, and
``tests/golden/rows/`` says by hand what each event does to the tables.

A *fact* is a field of a task (``TaskState``, ``TaskChange``) or of a flow (``FlowState``, ``FlowChange``).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import msgspec

from flower_engine.model.events import attempt_events, events, operator_events, snapshot_events, wait_events
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.schedule_events import AnyScheduleEvent
from flower_engine.model.tasks.end_kinds import (
    CUT_OFF,
    GIVEN_UP,
    NOT_TAKEN,
    PASSED,
    UNMET,
    UNNEEDED,
    VANISHED,
    EndedAs,
)
from flower_engine.model.tasks.status import Status

WAIT, RUNNING, SUSPEND, FINISH, IGNORE = (
    Status.WAIT,
    Status.RUNNING,
    Status.SUSPEND,
    Status.FINISH,
    Status.IGNORE,
)

About = Literal["log", "refusal", "flow", "registration", "snapshot", "schedule"]
"""What an event tells of: the log as a whole; a refusal, which changes nothing; a flow; the beginning of a
flow, as it was planned or as it was found; or a schedule (``schedule_state.py`` says what it means there)."""

Signal = Literal["", "kept", "taken"]
"""What it means for the flow's signals: nothing; it is one, which the flow keeps; or its ``signal`` names one
(if it is not empty), which is kept no more."""

Wait = Literal["", "begins", "goes on"]
"""Of a task without a worker: it begins to wait for the world, or the event is of the wait that goes on."""

Items = Literal["", "come", "go"]
"""What it means for the items of maps: nothing; ``tasks`` are more tasks of the flow, the items of a map; or
those that it moves to Ignore as vanished are no longer theirs."""

End = Literal["", "said", "always", "over"]
"""What it means for the end of the flow: nothing; its ``ends`` says whether this is it; it is; or an end that
there was is over."""

How = Literal[
    "running",
    "finished",
    "failed",
    "retrying",
    "again",
    "flowAgain",
    "lapsed",
    "returned",
    "timedOut",
    "cancelled",
    "awaiting",
    "answered",
    "expanded",
    "over",
    "overdue",
    "askedAnew",
    "passedOver",
]
"""How an attempt ended: ``failed`` suspended the task, ``retrying`` is followed by another attempt, ``again``
by another round, ``flowAgain`` by one of its flow. Those
from ``awaiting`` on are of waits: ``over`` is a time that was waited for, or one in which nobody came and a
default holds; ``expanded``: a map got its items."""

THE_EVENT = "the event itself"
"""Where a fact is the event, not one of its fields."""


class Said(msgspec.Struct, frozen=True):
    """A value of an event. ``field`` names it; where it is empty (0, "" or None) the fact is ``instead``, or
    what it was before if ``or_kept``. Where the field ``unless`` has a value there is no such fact."""

    field: str
    instead: str | None = None
    or_kept: bool = False
    unless: str = ""


class Move(msgspec.Struct, frozen=True):
    """Where an event takes tasks. ``tasks``: its field that names them, one or several. ``was``: where they
    stood, and if that may differ, ``said_in`` is the field that says it. ``to`` None: they stay there.
    ``by_lease``: it must be of the task's current lease and attempt (where it ran; else of the attempt whose
    child it awaits); ``wait``: of its wait for the world.
    ``kind``: how they have ended then. ``of_kinds``: how those may have ended that it takes (empty: any way).
    """

    tasks: str
    was: tuple[Status, ...]
    to: Status | None
    said_in: str = ""
    by_lease: bool = False
    kind: EndedAs = ""
    of_kinds: tuple[EndedAs, ...] = ()
    wait: Wait = ""

    @property
    def closes(self) -> bool:
        """Whether the tasks have ended then."""
        return self.to is not None and (self.to.is_final or self.kind == GIVEN_UP)


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What an event does.

    ``sets`` and ``forgets`` are facts of every task that it names in ``moves``; ``of_each`` those of single
    ones, by the event's fields, which hold values by the task's number; ``of_all`` those of every task of the
    flow. ``flow_sets`` and ``flow_forgets`` are facts of the flow. ``ends_attempt``: how an attempt ended
    that ran. ``holds``: what a task's ``on_failure`` says of time begins. ``signal``: what becomes of the
    flow's signals, ``items``: of the items of its maps. ``counts_rounds``: it begins another round of
    its task; ``asks``: one of its flow is asked for.
    """

    about: About = "flow"
    moves: tuple[Move, ...] = ()
    sets: Mapping[str, Said] = MappingProxyType({})
    forgets: tuple[str, ...] = ()
    of_each: Mapping[str, str] = MappingProxyType({})
    of_all: Mapping[str, str] = MappingProxyType({})
    flow_sets: Mapping[str, str] = MappingProxyType({})
    flow_forgets: tuple[str, ...] = ()
    end: End = ""
    ends_attempt: How | None = None
    holds: bool = False
    signal: Signal = ""
    items: Items = ""
    counts_rounds: bool = False
    asks: bool = False


class Standing(msgspec.Struct, frozen=True):
    """What goes with a status. ``since``: the fact that says since when a task stands there. ``facts``: those
    that it has only while it does. ``timers``: the kinds that may tick then (``lua/lib/timers.lua``)."""

    since: str = ""
    facts: tuple[str, ...] = ()
    timers: str = ""


STANDING: Mapping[Status, Standing] = {
    WAIT: Standing(facts=("retry_ms", "again_ms", "awaiting", "votes"), timers="rqsd"),
    RUNNING: Standing(since="started_ms", timers="a"),
    SUSPEND: Standing(since="suspended_ms", facts=("suspended_ms",)),
    FINISH: Standing(since="finished_ms", facts=("finished_ms", "result", "blob")),
    IGNORE: Standing(since="finished_ms", facts=("finished_ms", "ignored_by", "ignore_reason", "result")),
}
PASSING_FACTS = tuple(dict.fromkeys(fact for standing in STANDING.values() for fact in standing.facts))
"""Facts that go with a status: whatever moves a task forgets those of where it stood."""

COUNTED_FACTS = ("lost", "failures", "round")
"""Facts that are numbers: forgotten, they are 0; others are None."""

TASK_FACTS = (
    *("attempt", "lease", "worker", "used", "started_ms", "lost", "failures", "error", "progress"),
    *("round", "given"),
    *PASSING_FACTS,
)
FLOW_FACTS = ("paused", "cancelled", "ending", "rounds")
_PLAN_FACTS = ("body", "parameters", "keys")  # of a task's plan, which the state holds as a whole

_BEGAN_ANEW = ("lost", "failures", "error", "round", "given")
_OUTCOME = (Move("task", (RUNNING,), WAIT, by_lease=True),)
_ERROR = Said("error")

MEANINGS: Mapping[type[AnyEvent], Meaning] = {
    events.LogOpened: Meaning(about="log"),
    events.ControlChanged: Meaning(about="log"),
    **{kind: Meaning(about="schedule") for kind in get_args(AnyScheduleEvent)},
    events.OutcomeRefused: Meaning(about="refusal"),
    events.FlowRegistered: Meaning(
        about="registration",
        moves=(
            Move("taken", (WAIT,), FINISH),
            Move("blobs", (WAIT,), FINISH),
            Move("ignored", (WAIT,), IGNORE, kind=PASSED),
            Move("passed", (WAIT,), IGNORE, kind=NOT_TAKEN),
            Move("unmet", (WAIT,), IGNORE, kind=UNMET),
            Move("unneeded", (WAIT,), IGNORE, kind=UNNEEDED),
        ),
        of_each={"taken": "result", "blobs": "blob", "stand_ins": "result"},
    ),
    snapshot_events.FlowSnapshot: Meaning(about="snapshot"),
    attempt_events.TaskStarted: Meaning(
        moves=(Move("task", (WAIT,), RUNNING),),
        sets={
            "attempt": Said("attempt"),
            "lease": Said("lease"),
            "worker": Said("worker"),
            "used": Said("used", or_kept=True),
        },
    ),
    attempt_events.TaskFinished: Meaning(
        moves=(Move("task", (RUNNING,), FINISH, by_lease=True),),
        sets={"result": Said("result", unless="blob"), "blob": Said("blob")},
        forgets=("error", "progress"),  # of earlier attempts: the one that finished said nothing of itself
        end="said",
        ends_attempt="finished",
    ),
    attempt_events.TaskSuspended: Meaning(
        moves=(Move("task", (RUNNING,), SUSPEND, by_lease=True),),
        sets={"error": _ERROR, "lost": Said("lost", or_kept=True)},
        ends_attempt="failed",
        holds=True,
    ),
    attempt_events.TaskReturned: Meaning(moves=_OUTCOME, ends_attempt="returned"),
    attempt_events.TaskLapsed: Meaning(
        moves=_OUTCOME,
        sets={"lost": Said("lost"), "error": Said("error", or_kept=True)},
        ends_attempt="lapsed",
    ),
    attempt_events.TaskRetrying: Meaning(
        moves=_OUTCOME,
        sets={"failures": Said("failures"), "retry_ms": Said("due_ms"), "error": _ERROR},
        ends_attempt="retrying",
    ),
    attempt_events.TaskAgain: Meaning(
        moves=(Move("task", (RUNNING, WAIT), WAIT, said_in="was", by_lease=True),),
        sets={
            "round": Said("round"),
            "given": Said("given"),
            "again_ms": Said("due_ms", or_kept=True),
        },
        forgets=("lost", "failures", "error", "progress"),  # of the rounds before
        flow_sets={"rounds": "rounds"},
        ends_attempt="again",
        counts_rounds=True,
    ),
    attempt_events.FlowAgain: Meaning(
        moves=_OUTCOME,
        sets={"again_ms": Said("at")},
        forgets=("lost", "failures", "error", "progress"),
        ends_attempt="flowAgain",
        asks=True,
    ),
    attempt_events.TaskProgressed: Meaning(
        moves=(Move("task", (RUNNING,), None, by_lease=True),), sets={"progress": Said(THE_EVENT)}
    ),
    events.TaskOverdue: Meaning(moves=(Move("task", (WAIT,), SUSPEND),), sets={"error": _ERROR}, holds=True),
    wait_events.TaskAwaiting: Meaning(
        moves=(Move("task", (WAIT,), WAIT, wait="begins"),),
        sets={
            "attempt": Said("attempt"),
            "lease": Said("lease"),
            "awaiting": Said(THE_EVENT),
            "used": Said("used", or_kept=True),
        },
    ),
    wait_events.TaskVoted: Meaning(
        moves=(Move("task", (WAIT,), None, wait="goes on"),), sets={"votes": Said("names")}
    ),
    wait_events.TaskAnswered: Meaning(
        moves=(Move("task", (WAIT,), FINISH, wait="goes on"),),
        sets={"result": Said("result", unless="blob"), "blob": Said("blob")},
        end="said",
        signal="taken",
    ),
    wait_events.TaskExpanded: Meaning(moves=(Move("task", (WAIT,), WAIT, wait="goes on"),), items="come"),
    wait_events.TaskLifted: Meaning(
        moves=(Move("task", (SUSPEND, WAIT), WAIT, said_in="was", of_kinds=("",)),),
        sets={"awaiting": Said(THE_EVENT)},
        forgets=("error",),
    ),
    wait_events.FlowSignalled: Meaning(signal="kept"),
    events.FlowTimedOut: Meaning(
        moves=(Move("running", (RUNNING,), SUSPEND), Move("waiting", (WAIT,), SUSPEND)),
        sets={"error": _ERROR},
        ends_attempt="timedOut",
    ),
    events.TaskGivenUp: Meaning(
        moves=(Move("task", (RUNNING, SUSPEND), SUSPEND, said_in="was", kind=GIVEN_UP, of_kinds=("",)),),
        sets={"error": Said("error", or_kept=True), "lost": Said("lost", or_kept=True)},
        end="said",
        ends_attempt="failed",
    ),
    events.TasksPassed: Meaning(
        moves=(
            Move("tasks", (WAIT,), IGNORE, kind=NOT_TAKEN),
            Move("unmet_tasks", (WAIT,), IGNORE, kind=UNMET),
        ),
        end="said",
    ),
    events.TasksUnneeded: Meaning(
        moves=(
            Move("waiting", (WAIT,), IGNORE, kind=UNNEEDED),
            Move("running", (RUNNING,), IGNORE, kind=UNNEEDED),
            Move("suspended", (SUSPEND,), IGNORE, kind=UNNEEDED, of_kinds=("",)),
        ),
        end="said",
        ends_attempt="cancelled",
    ),
    operator_events.TaskIgnored: Meaning(
        moves=(Move("task", (WAIT, SUSPEND, RUNNING), IGNORE, said_in="was", kind=PASSED, of_kinds=("",)),),
        sets={
            "ignored_by": Said("by"),
            "ignore_reason": Said("reason"),
            "result": Said("result", or_kept=True),
            "error": Said("error", or_kept=True),
            "lost": Said("lost", or_kept=True),
        },
        end="said",
        ends_attempt="failed",
    ),
    operator_events.TasksIgnored: Meaning(
        moves=(
            Move("waiting", (WAIT,), IGNORE, kind=PASSED),
            Move("suspended", (SUSPEND,), IGNORE, kind=PASSED, of_kinds=("",)),
        ),
        sets={
            "ignored_by": Said("by"),
            "ignore_reason": Said("reason"),
            "result": Said("result", or_kept=True),
        },
        end="said",
    ),
    operator_events.TaskUnignored: Meaning(
        moves=(
            Move("task", (IGNORE,), WAIT, of_kinds=(PASSED, CUT_OFF)),
            Move("behind", (IGNORE,), WAIT, of_kinds=(NOT_TAKEN, UNMET, UNNEEDED)),
        ),
        forgets=_BEGAN_ANEW,
        end="over",
    ),
    operator_events.FlowRerun: Meaning(
        moves=(
            Move("finished", (FINISH,), WAIT),
            Move("ignored", (IGNORE,), WAIT),
            Move("suspended", (SUSPEND,), WAIT),
            Move("waiting", (WAIT,), WAIT),
            Move("gone_finished", (FINISH,), IGNORE, kind=VANISHED),
            Move("gone_ignored", (IGNORE,), IGNORE, kind=VANISHED),
            Move("gone_suspended", (SUSPEND,), IGNORE, kind=VANISHED),
            Move("gone_waiting", (WAIT,), IGNORE, kind=VANISHED),
        ),
        items="go",
        forgets=_BEGAN_ANEW,
        of_each={"bodies": "body", "parameters": "parameters", "keys": "keys"},
        end="over",
    ),
    operator_events.FlowCancelled: Meaning(
        moves=(
            Move("waiting", (WAIT,), IGNORE, kind=CUT_OFF),
            Move("running", (RUNNING,), IGNORE, kind=CUT_OFF),
            Move("suspended", (SUSPEND,), IGNORE, kind=CUT_OFF, of_kinds=("",)),
        ),
        sets={"ignored_by": Said("by"), "ignore_reason": Said("reason", instead="cancelled")},
        flow_sets={"cancelled": THE_EVENT},
        flow_forgets=("paused",),
        end="always",
        ends_attempt="cancelled",
    ),
    operator_events.FlowEnding: Meaning(
        moves=(
            Move("waiting", (WAIT,), IGNORE, kind=CUT_OFF),
            Move("running", (RUNNING,), IGNORE, kind=CUT_OFF),
            Move("suspended", (SUSPEND,), IGNORE, kind=CUT_OFF, of_kinds=("",)),
            Move("given_up", (SUSPEND,), SUSPEND, kind=GIVEN_UP, of_kinds=("",)),
            Move("children", (WAIT,), WAIT),
            Move("held_children", (SUSPEND,), WAIT, of_kinds=("",)),
        ),
        sets={
            "ignored_by": Said("by", instead="cancel"),
            "ignore_reason": Said("reason", instead="the flow is ending"),
            "awaiting": Said("awaited"),
        },
        flow_sets={"ending": "begins", "cancelled": "cancels"},
        flow_forgets=("paused",),
        end="said",
        ends_attempt="cancelled",
    ),
    operator_events.FlowPaused: Meaning(flow_sets={"paused": THE_EVENT}),
    operator_events.FlowResumed: Meaning(flow_forgets=("paused",)),
    operator_events.FlowPrioritised: Meaning(of_all={"priority": "priority"}),
}
"""By type of event. Where one has no entry, nothing starts: ``check``, below, refuses to be imported."""


def named_tasks(event: AnyEvent, tasks: str) -> Iterable[int]:
    """The tasks that a field of an event names."""
    value: Any = getattr(event, tasks)
    return (value,) if isinstance(value, int) else value


def _properties(kind: type[Any]) -> Iterable[str]:
    return [name for name, value in vars(kind).items() if isinstance(value, property)]


def check(meanings: Mapping[type[Any], Meaning], types: Iterable[type[Any]]) -> None:
    """Refuses a table of meanings that does not say what each of these types of events does.

    Raises:
        TypeError: a type has no entry, or an entry names a field or a fact that there is not; names them all.
    """
    found = [f"{kind.__name__} has no entry" for kind in types if kind not in meanings]
    for kind, meaning in meanings.items():
        fields = {*kind.__struct_fields__, *_properties(kind), THE_EVENT}
        named = [said.field for said in meaning.sets.values()]
        named += [said.unless for said in meaning.sets.values() if said.unless]
        named += [*meaning.of_each, *meaning.of_all.values(), *meaning.flow_sets.values()]
        named += [field for move in meaning.moves for field in (move.tasks, move.said_in) if field]
        named += ["ends"] if meaning.end == "said" else []
        found += [f"{kind.__name__} has no field {name!r}" for name in named if name not in fields]
        facts = {*meaning.sets, *meaning.forgets, *meaning.of_each.values()} - {*TASK_FACTS, *_PLAN_FACTS}
        facts |= {*meaning.flow_sets, *meaning.flow_forgets} - {*FLOW_FACTS}
        found += [f"{kind.__name__}: there is no fact {fact!r}" for fact in sorted(facts)]
    if found:
        raise TypeError(f"model/events/event_meaning.py: {'; '.join(found)}")


check(MEANINGS, get_args(AnyEvent))
