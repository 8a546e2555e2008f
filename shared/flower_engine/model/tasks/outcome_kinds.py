"""What may become of an attempt, as a worker tells it."""

from enum import StrEnum


class OutcomeKind(StrEnum):
    """What became of an attempt."""

    @property
    def is_again(self) -> bool:
        """Whether its program asked for another round, of its task or of its flow."""
        return self in _AGAIN

    FINISHED = "finished"  # payload: the result
    STORED = "stored"  # payload: the BlobRef of where the result lies
    FAILED = "failed"  # payload: a TaskError; the task's retry policy says what follows
    SUSPENDED = "suspended"  # payload: a TaskError; failed for good, whatever the policy says
    RETRY = "retry"  # payload: a TaskError; the program asks for another attempt after ``number`` ms
    AGAIN = "again"  # payload: parameters given for another round, which begins after ``number`` ms
    AGAIN_AT = "again_at"  # the same, and ``number`` is when it begins (ms since the epoch)
    FLOW_AGAIN = "flow_again"  # the same as AGAIN, of the flow: given to it by the task of its parent
    FLOW_AGAIN_AT = "flow_again_at"
    CRASHED = "crashed"  # payload: a TaskError; its process died: as a lost worker, ``number`` are poison
    UNFIT = "unfit"  # payload: a TaskError; this version of the program refuses it, another may take it
    RETURNED = "returned"  # handed back by a stopping worker; payload: ignored


_AGAIN = frozenset(
    (OutcomeKind.AGAIN, OutcomeKind.AGAIN_AT, OutcomeKind.FLOW_AGAIN, OutcomeKind.FLOW_AGAIN_AT)
)
