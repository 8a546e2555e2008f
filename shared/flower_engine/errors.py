"""Every error that Flower raises on purpose.

FlowerError
├── SettingsError               a setting is wrong; names the variable
├── DefinitionError             a workflow cannot be run as defined; names the row
│   └── TooLargeError           more tasks or edges than a flow may have
├── DefinitionsError            some of the workflows of a deploy cannot be run as defined; names all problems
├── UnknownWorkflowError        no such workflow
├── UnknownVersionError         the workflow has no such version
├── UnknownFlowError            no such flow
├── UnknownTaskError            no such task of a flow
├── NotYetRegisteredError       the flow was registered later than the moment that is asked about
├── ParametersError             parameters do not fit tasks or their programs; names all that is wrong
├── TimeError                   what was given is no time, or none that a store can hold; names the parameter
├── FlowControlError            settings of flow control do not fit; names all that is wrong
├── UnknownControlError         nothing is set for this queue, workflow or program
├── UnknownStrikeError          no such strike
├── ScheduleError               a schedule cannot be as it is given; names each field with what is wrong
├── HookError                   a hook cannot be as it is given; names each field with what is wrong
├── UnknownHookError            no such hook
├── UnknownPartitionError       no such partition
├── UnknownDeliveryError        no such delivery of a hook
├── UnknownSignalError          no signal is kept under this id
├── UnknownScheduleError        no such schedule
├── UnknownBackfillError        no such backfill
├── FlowLimitError              as many flows of the workflow are under way as may be
├── PayloadTooLargeError        what is sent into a flow is larger than may be
├── RefusedError                an operation does not fit how the flow stands; says which task and what to do
│   ├── FlowEndedError          the flow has ended: nothing of the world reaches it any more
│   ├── NotAskedError           somebody may not answer an approval: others are asked
│   ├── TooManySignalsError     a flow keeps as many signals as it may
│   ├── MovedError              the flow has moved on since the version that the operation was meant for
│   ├── NeedsResultsError       what is to run again reads results that Redis keeps no more; names the tasks
│   ├── NeedsEarlierError       maps are to be matched with the items that they had; names them
│   ├── HeldForChildrenError    tasks that are to run again are held because of their children; names them
│   ├── AmbiguousFlowError      several flows begin so
│   ├── AmbiguousVersionError   the hashes of several versions of a workflow begin so
│   ├── KeyConflictError        an idempotency key belongs to a flow of another workflow
│   ├── DefinitionConflictError somebody else defined the workflow at the same moment
│   ├── TooManyStrikesError     as many strikes hold as may be
│   ├── ScheduleExistsError     there is a schedule of this name already
│   ├── ScheduleMovedError      the schedule has changed since the version that a change was meant for
│   ├── PrunedError             the flow ended so long ago that its history goes, or has gone
│   ├── HistoryDamagedError     the history of a flow is damaged; names the event and what is wrong with it
│   └── LostHistoryError        the end of a flow lies in a lost part of the history; says what is known
├── NotUnderWayError            the flow is not in Redis; its state must be folded from its history first
├── ProgramError                a program cannot be found, registered or called
│   ├── ParameterError          a parameter does not convert; names parameter, value and type
│   │   ├── MissingInputError   a parameter is a part of a result that is not there; names producer and path
│   │   └── ConditionError      two values of a condition do not compare; names both
│   ├── SecretError             a secret is not there, or not granted; names it and where it was looked for
│   ├── MissingBlobError        a blob is not in its store
│   └── BlobRefusedError        the store of blobs takes this one never
├── StoreError                  a store cannot be used
│   ├── BlobStoreError          the store of blobs cannot be used now
│   ├── HomeInUseError          another process runs on this data folder
│   ├── StoreRefusedError       Redis or Postgres refuses what Flower needs, and no waiting heals that
│   ├── StoreUnavailableError   a store cannot be used now; names it, and when to try again
│   ├── ProjectionBehindError   Postgres is further behind the log than it may be: nothing is registered
│   ├── NotProjectedError       a flow is registered, and Postgres too far behind to show it
│   ├── InstallationError       Redis and Postgres do not belong together
│   ├── LostError               Redis lost its state or went back in time
│   │   └── PostgresBehindError Postgres went back in time, and Redis no longer has what it lacks
│   └── GrownError              there are other partitions than a service began with
└── NewerEventError             an event of a newer version of Flower was met
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flower_engine.secrets import hide_secrets


class FlowerError(Exception):
    """Root of Flower's own errors: the message names the ids and says what to do."""


class SettingsError(FlowerError):
    """A setting is missing or wrong."""


class DefinitionError(FlowerError):
    """A workflow cannot be run as it is defined.

    ``problems`` holds one sentence per problem; each names the row (workflow and task_seq), or file and line
    of the Python that defines it. ``workflow`` is None where none is being defined.
    """

    def __init__(self, workflow: str | None, problems: list[str]) -> None:
        self.workflow = workflow
        self.problems = problems
        begin = "" if workflow is None else f"workflow {workflow!r} cannot be run: "
        super().__init__(begin + "; ".join(problems))


class TooLargeError(DefinitionError):
    """A workflow has more tasks or edges than a flow may have."""


class DefinitionsError(FlowerError):
    """Some of many workflows cannot be run as they are defined: ``problems`` are sentences, each with the
    place (0, 1, 2...) of its workflow."""

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        self.problems = problems
        others = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        super().__init__(f"nothing was deployed: {problems[0][1]}{others}")


class UnknownWorkflowError(FlowerError):
    """No task definition has this workflow's name."""


class UnknownVersionError(FlowerError):
    """The workflow has no version of this number, or whose hash begins so."""


class UnknownFlowError(FlowerError):
    """No flow has this id."""


class UnknownTaskError(FlowerError):
    """The flow has no task of this number."""


class NotYetRegisteredError(FlowerError):
    """The flow was registered later than the moment that is asked about."""


_MOST_SAID = 5


class ParameterFault(NamedTuple):
    """One thing that is wrong with parameters; ``pointer`` (RFC 6901) leads to it in what was asked for."""

    detail: str
    pointer: str


class ParametersError(FlowerError):
    """Parameters that were given do not fit the tasks or their programs; ``faults`` is not empty."""

    def __init__(self, faults: Sequence[ParameterFault]) -> None:
        self.faults = faults
        said = "; ".join(fault.detail for fault in faults[:_MOST_SAID])
        others = f" (and {len(faults) - _MOST_SAID} more problems)" if len(faults) > _MOST_SAID else ""
        super().__init__(f"the parameters do not fit: {said}{others}")


class TimeError(FlowerError):
    """What was given as ``parameter`` is no time, or none that a store can hold."""

    def __init__(self, parameter: str, what: str) -> None:
        self.parameter = parameter
        super().__init__(f"{parameter}: {what}")


class FlowControlError(FlowerError):
    """Settings of flow control do not fit; ``problems`` holds one sentence per problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = problems
        super().__init__("the settings do not fit: " + "; ".join(problems))


class UnknownControlError(FlowerError):
    """Nothing is set for this scope and name."""


class UnknownStrikeError(FlowerError):
    """No strike has this id."""


class ScheduleError(FlowerError):
    """A schedule cannot be as it is given; ``faults`` is not empty. Their pointers are those of its JSON."""

    def __init__(self, name: str, faults: Sequence[ParameterFault]) -> None:
        self.faults = faults
        said = "; ".join(fault.detail for fault in faults[:_MOST_SAID])
        others = f" (and {len(faults) - _MOST_SAID} more problems)" if len(faults) > _MOST_SAID else ""
        super().__init__(f"schedule {name!r} cannot be so: {said}{others}")


class HookError(FlowerError):
    """A hook cannot be as it is given; ``faults`` is not empty. Their pointers are those of its JSON."""

    def __init__(self, name: str, faults: Sequence[ParameterFault]) -> None:
        self.faults = faults
        super().__init__(f"hook {name!r} cannot be so: {'; '.join(fault.detail for fault in faults)}")


class UnknownHookError(FlowerError):
    """No hook has this name."""


class UnknownPartitionError(FlowerError):
    """There is no partition of this number."""


class UnknownDeliveryError(FlowerError):
    """No delivery of a hook has this id."""


class UnknownSignalError(FlowerError):
    """No signal is kept under this id."""


class UnknownScheduleError(FlowerError):
    """No schedule has this name."""


class UnknownBackfillError(FlowerError):
    """No backfill has this id."""


class FlowLimitError(FlowerError):
    """As many flows of the workflow are under way as may be, and its limit says that more are rejected."""

    def __init__(self, workflow: str, most: int) -> None:
        self.retry_after = 1
        super().__init__(
            f"{most} flows of workflow {workflow!r} are under way, as many as may be; register again when one"
            " has ended, or raise the limit"
        )


class PayloadTooLargeError(FlowerError):
    """What is sent into a flow is larger than may be."""


class RefusedError(FlowerError):
    """An operation does not fit how the flow or a task stands; ``reason`` is a word for programs."""

    def __init__(self, message: str, reason: str = "refused") -> None:
        self.reason = reason
        super().__init__(message)


class FlowEndedError(RefusedError):
    """The flow has ended: nothing of the world reaches it any more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "ended")


class NotAskedError(RefusedError):
    """Somebody may not answer an approval: others are asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "not-asked")


class TooManySignalsError(RefusedError):
    """A flow keeps as many signals as it may that no task has taken yet."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "too-many-signals")


class MovedError(RefusedError):
    """The flow has moved on since the version that the operation was meant for."""


class NeedsResultsError(RefusedError):
    """What is to run again reads results of these ``tasks`` that Redis keeps no more: whoever asked fetches
    them from the flow's history, and asks again with them."""

    def __init__(self, flow: str, tasks: tuple[int, ...]) -> None:
        self.tasks = tasks
        super().__init__(
            f"flow {flow}: results that are needed again (of task {', '.join(map(str, tasks[:10]))}) change"
            " all the time; look at it again, then decide",
            "needs",
        )


class NeedsEarlierError(RefusedError):
    """These maps (``tasks``) are to be matched with the items that they had: whoever asked finds these in the
    flow's history, and asks again with them."""

    def __init__(self, flow: str, tasks: tuple[int, ...]) -> None:
        self.tasks = tasks
        super().__init__(
            f"flow {flow}: the items of its maps ({', '.join(map(str, tasks[:10]))}) change all the time;"
            " look at it again, then decide",
            "needs",
        )


class HeldForChildrenError(RefusedError):
    """What is to run again is held because of its children: ``attempts`` by these tasks. Whoever asked reruns
    within them what failed there, or says that others are to begin."""

    def __init__(self, flow: str, attempts: Mapping[int, int]) -> None:
        self.attempts = attempts
        super().__init__(
            f"flow {flow}: task {', '.join(map(str, list(attempts)[:10]))} is held because of its child,"
            " which changes all the time; look at it again, then decide",
            "children",
        )


class AmbiguousFlowError(RefusedError):
    """Several flows begin so; the message names some of them."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "ambiguous")


class AmbiguousVersionError(RefusedError):
    """The hashes of several versions of a workflow begin so; the message names some of them."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "ambiguous")


class KeyConflictError(RefusedError):
    """An idempotency key belongs to a ``flow`` of another workflow."""

    def __init__(self, key: str, flow: str, owner: str, workflow: str) -> None:
        self.flow = flow
        super().__init__(
            f"key {key!r} belongs to flow {flow} of workflow {owner!r}, not {workflow!r}; use another key",
            "key-conflict",
        )


class DefinitionConflictError(RefusedError):
    """Somebody else wrote the definition of a workflow at the same moment."""

    def __init__(self, workflow: str) -> None:
        super().__init__(
            f"somebody else wrote rows of workflow {workflow!r} at the same moment; try again", "conflict"
        )


class TooManyStrikesError(RefusedError):
    """As many strikes hold as may be: each costs every start of a task of its program."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} strikes hold already; lift those that are over", "too-many-strikes")


class ScheduleExistsError(RefusedError):
    """There is a schedule of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a schedule {name!r} already; change it, or take another name", "taken")


class ScheduleMovedError(RefusedError):
    """The schedule has changed since the version that a change was meant for."""

    def __init__(self, name: str, version: int) -> None:
        self.version = version
        super().__init__(
            f"schedule {name!r} has changed since: its version is {version} now; look at it again", "moved"
        )


class PrunedError(RefusedError):
    """The flow ended before a moment (``until_ms``) up to which history has been removed, or just is."""

    def __init__(self, flow: str, until_ms: int) -> None:
        self.until_ms = until_ms
        super().__init__(
            f"flow {flow} is being pruned: the history of what ended that long ago is just being removed, and"
            " nothing more can be done with it",
            "pruning",
        )


class HistoryDamagedError(RefusedError):
    """The history of a flow is damaged: an event of it cannot be read, or does not follow from those before
    it. ``position`` is where that event lies ("": it is not about one), ``why`` a sentence."""

    def __init__(self, flow: str, why: str, position: str = "") -> None:
        self.flow = flow
        self.why = why
        self.position = position
        event = f"event {position}: " if position else ""
        super().__init__(f"the history of flow {flow} is damaged: {event}{why}", "history-damaged")


class LostHistoryError(RefusedError):
    """The end of a flow lies in a part of the history that is lost: nothing can be done with what is known of
    it, if anything is."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "history-lost")


class NotUnderWayError(FlowerError):
    """The flow is not in Redis: it ended, or never was. Operations need its state, restored from its history,
    read from now on: it then reaches at least ``position`` ("": not told), the last one of the log now."""

    def __init__(self, message: str, position: str = "") -> None:
        self.position = position
        super().__init__(message)


class ProgramError(FlowerError):
    """A program cannot be found, registered or called."""


class ParameterError(ProgramError):
    """A parameter's value does not convert to the type that the program asks for."""


class MissingInputError(ParameterError):
    """A parameter refers to (a part of) a task's result that is not there; ``there`` says what is."""

    def __init__(self, message: str, producer: str, path: str, there: str) -> None:
        self.producer = producer  # its name, or its taskSeq as text
        self.path = path  # a JSON Pointer
        self.there = there
        super().__init__(message)


class ConditionError(ParameterError):
    """Two values of a condition do not compare; the message has both."""


class SecretError(ProgramError):
    """A secret that a definition names is not there, or its workflow may not have it. Never says a value."""


class MissingBlobError(ProgramError):
    """A blob is not in the store that it should be in."""


class BlobRefusedError(ProgramError):
    """The store of blobs does not take this one, now or later."""


class StoreError(FlowerError):
    """Redis or Postgres cannot be used as it is."""


class BlobStoreError(StoreError):
    """The store of blobs cannot be used now; trying again may help."""


class HomeInUseError(StoreError):
    """Another process already runs on this data folder."""


class StoreRefusedError(StoreError):
    """A store refuses what Flower needs (password, permission, kind of server); no waiting heals that."""


class StoreUnavailableError(StoreError):
    """A ``store`` cannot be used now; it may be in ``retry_after`` seconds."""

    def __init__(self, store: str, why: str, retry_after: int = 2) -> None:
        self.store = store
        self.retry_after = retry_after  # most faults of a store are over by then
        super().__init__(f"{store} cannot be used now: {hide_secrets(why)}")


class ProjectionBehindError(StoreError):
    """More events of a partition are not in Postgres yet than may be, so no flow is registered in it."""

    def __init__(self, message: str, partition: int, events: int, size_bytes: int) -> None:
        self.partition = partition
        self.events = events
        self.size_bytes = size_bytes
        self.retry_after = 5
        super().__init__(message)


class NotProjectedError(StoreError):
    """A flow is registered, and Postgres so far behind that to look for it in the log would take long."""

    retry_after = 5


class InstallationError(StoreError):
    """Redis and Postgres do not belong to the same installation."""


class LostError(StoreError):
    """Redis lost its state or went back in time; it must be recovered before work goes on."""


class PostgresBehindError(LostError):
    """Postgres went back in time, and the log no longer has what it lacks: a part of the history is lost."""


class GrownError(StoreError):
    """There are other partitions than a service began with; it begins anew."""


class NewerEventError(FlowerError):
    """An event was written by a newer version of Flower than this one."""
