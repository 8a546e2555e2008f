"""Every error that Flower raises on purpose.

FlowerError
├── SettingsError          a setting is wrong; names the variable
├── DefinitionError        a workflow cannot be run as defined; names the row
│   └── TooLargeError      more tasks or edges than a flow may have
├── UnknownWorkflowError   no such workflow
├── UnknownFlowError       no such flow
├── RefusedError           an operation does not fit how the flow stands; says which task and what to do
│   ├── MovedError         the flow has moved on since the version that the operation was meant for
│   ├── PrunedError        the flow ended so long ago that its history goes, or has gone
│   ├── HistoryError       the history of a flow is damaged; names the event and what is wrong with it
│   └── LostHistoryError   the end of a flow lies in a part of the history that is lost; says what is known
├── NotUnderWayError       the flow is not in Redis; its state must be folded from its history first
├── ProgramError           a program cannot be found, registered or called
│   └── ParameterError     a parameter does not convert; names parameter, value and type
├── StoreError             a store cannot be used
│   ├── HomeInUseError     another process runs on this data folder
│   ├── StoreRefusedError  Redis or Postgres refuses what Flower needs, and no waiting heals that
│   ├── InstallationError  Redis and Postgres do not belong together
│   └── LostError          Redis lost its state or went back in time
│       └── PostgresBehindError  Postgres went back in time, and Redis no longer has what it lacks
└── NewerEventError        an event of a newer version of Flower was met
"""


class FlowerError(Exception):
    """Root of Flower's own errors: the message names the ids and says what to do."""


class SettingsError(FlowerError):
    """A setting is missing or wrong."""


class DefinitionError(FlowerError):
    """A workflow cannot be run as it is defined.

    ``problems`` holds one sentence per problem; each names the row (workflow and task_seq).
    """

    def __init__(self, workflow: str, problems: list[str]) -> None:
        self.workflow = workflow
        self.problems = problems
        super().__init__(f"workflow {workflow!r} cannot be run: " + "; ".join(problems))


class TooLargeError(DefinitionError):
    """A workflow has more tasks or edges than a flow may have."""


class UnknownWorkflowError(FlowerError):
    """No task definition has this workflow's name."""


class UnknownFlowError(FlowerError):
    """No flow has this id."""


class RefusedError(FlowerError):
    """An operation does not fit how the flow or a task stands; ``reason`` is a word for programs."""

    def __init__(self, message: str, reason: str = "refused") -> None:
        self.reason = reason
        super().__init__(message)


class MovedError(RefusedError):
    """The flow has moved on since the version that the operation was meant for."""


class PrunedError(RefusedError):
    """The flow ended before a moment (``until_ms``) up to which history has been removed, or just is."""

    def __init__(self, flow: str, until_ms: int) -> None:
        self.until_ms = until_ms
        super().__init__(
            f"flow {flow} is being pruned: the history of what ended that long ago is just being removed, and"
            " nothing more can be done with it",
            "pruning",
        )


class HistoryError(RefusedError):
    """The history of a flow is damaged: an event of it cannot be read, or does not follow from those before
    it. ``position`` is where that event lies ("": it is not about one), ``why`` a sentence."""

    def __init__(self, flow: str, why: str, position: str = "") -> None:
        self.flow = flow
        self.why = why
        self.position = position
        event = f"event {position}: " if position else ""
        super().__init__(f"the history of flow {flow} is damaged: {event}{why}", "history-damaged")


class LostHistoryError(RefusedError):
    """The end of a flow lies in a gap: nothing can be done with what is known of it, if anything is."""

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


class StoreError(FlowerError):
    """Redis or Postgres cannot be used as it is."""


class HomeInUseError(StoreError):
    """Another process already runs on this data folder."""


class StoreRefusedError(StoreError):
    """A store refuses what Flower needs (password, permission, kind of server); no waiting heals that."""


class InstallationError(StoreError):
    """Redis and Postgres do not belong to the same installation."""


class LostError(StoreError):
    """Redis lost its state or went back in time; it must be recovered before work goes on."""


class PostgresBehindError(LostError):
    """Postgres went back in time, and the log no longer has what it lacks: a part of the history is lost."""


class NewerEventError(FlowerError):
    """An event was written by a newer version of Flower than this one."""
